// Live parts. A page that has <… data-live="name"> gets fresh HTML for them from /live, as the server made it.
// A browser holds few connections to one host, so all tabs share one stream: the tab that holds the Web Lock reads it
// and hands every part on by BroadcastChannel. A hidden tab lets go. Without this script a reload does the same.
(() => {
  if (!document.querySelector("[data-live]") || !("EventSource" in window)) return;
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("irc-now-live") : null;
  const locks = navigator.locks;
  const known = new Map();
  let stop = null;
  let retry = 1000;

  const focusables = (root) => [...root.querySelectorAll("a[href],button,input,select,textarea,summary,[tabindex]")];

  const replace = (target, html) => {
    const index = target.contains(document.activeElement) ? focusables(target).indexOf(document.activeElement) : -1;
    const template = document.createElement("template");
    template.innerHTML = html;
    target.replaceChildren(template.content);
    if (index >= 0) focusables(target)[index]?.focus({ preventScroll: true });
    target.dispatchEvent(new CustomEvent("irc-now:replaced", { bubbles: true }));
  };

  const apply = (parts) => {
    for (const [name, html] of Object.entries(parts)) {
      if (known.get(name) === html) continue;
      known.set(name, html);
      for (const target of document.querySelectorAll(`[data-live="${CSS.escape(name)}"]`)) replace(target, html);
    }
  };

  const gone = () => location.reload();

  // Reads the stream until told to stop; resolves then, and the lock is free.
  const read = () => new Promise((resolve) => {
    let source;
    let timer;
    const open = () => {
      source = new EventSource("/live");
      source.addEventListener("parts", (event) => {
        retry = 1000;
        const parts = JSON.parse(event.data);
        apply(parts);
        channel?.postMessage({ parts });
      });
      source.addEventListener("gone", () => {
        source.close();
        channel?.postMessage({ gone: true });
        gone();
      });
      source.onerror = () => {
        if (source.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(open, retry);
        retry = Math.min(retry * 2, 60000);
      };
    };
    stop = () => { clearTimeout(timer); source?.close(); stop = null; resolve(); };
    open();
  });

  let waiting = null;
  const start = () => {
    if (document.hidden || stop || waiting) return;
    if (!locks) { read(); return; }
    waiting = new AbortController();
    locks.request("irc-now-live", { signal: waiting.signal }, () => {
      waiting = null;
      return document.hidden ? undefined : read();
    }).catch(() => {});
    channel?.postMessage({ hello: true });
  };
  const leave = () => {
    waiting?.abort();
    waiting = null;
    stop?.();
  };

  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.hello && stop && known.size) channel.postMessage({ parts: Object.fromEntries(known) });
      if (data.parts && !stop && !document.hidden) apply(data.parts);
      if (data.gone) gone();
    };
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : start()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", start);
  start();
})();
