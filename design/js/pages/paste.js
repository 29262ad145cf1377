// Pastes: encryption in the browser, ranges of lines, keys. Without this script everything but encryption works too.
(() => {
  const encode = (bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  };
  const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const imported = (raw, use) => crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);

  // The form: the key is made here, goes into the part of the address behind #, and is never sent.
  const form = document.querySelector("form[data-paste]");
  if (form) {
    const choice = form.querySelector("[data-encrypt]");
    if (choice && crypto.subtle) choice.hidden = false;
    const say = (words) => {
      const note = form.querySelector("[data-said]");
      note.hidden = false;
      note.firstElementChild.textContent = words;
      note.scrollIntoView({ block: "nearest" });
    };
    form.addEventListener("submit", async (event) => {
      if (!form.elements.encrypt?.checked) return;
      event.preventDefault();
      const file = form.elements.file.files[0];
      const plain = file ? new Uint8Array(await file.arrayBuffer()) : new TextEncoder().encode(form.elements.text.value);
      if (!plain.length) { say("There is nothing in it. Write or choose a text first."); return; }
      const raw = crypto.getRandomValues(new Uint8Array(32));
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await imported(raw, "encrypt"), plain));
      const body = new Uint8Array(iv.length + sealed.length);
      body.set(iv);
      body.set(sealed, iv.length);
      const wish = { encrypted: encode(body), expires: form.elements.expires.value, burn: form.elements.burn.checked };
      try {
        const answer = await fetch("/", {
          method: "POST",
          headers: { "content-type": "application/json", accept: "application/json" },
          body: JSON.stringify(wish),
        });
        const said = await answer.json();
        if (answer.ok) location.assign(`/${said.id}#${encode(raw)}`);
        else say([said.message, said.advice].filter(Boolean).join(" "));
      } catch {
        say("The server does not answer. What you typed is still here: try again in a moment.");
      }
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  }

  // The page that asks first: the key stays in the address.
  const asks = document.querySelector("form[data-open]");
  if (asks && location.hash.length > 1) asks.setAttribute("action", asks.getAttribute("action") + location.hash);

  const number = (pre, lines) => {
    for (const [index, line] of lines.entries()) {
      const row = document.createElement("span");
      row.className = "ln";
      row.id = `L${index + 1}`;
      const link = document.createElement("a");
      link.dataset.n = index + 1;
      link.tabIndex = -1;
      link.setAttribute("aria-hidden", "true");
      row.append(link, `${line}\n`);
      pre.append(row);
    }
  };

  // An encrypted paste is decrypted where its reader is.
  const holder = document.querySelector("[data-encrypted]");
  if (holder) {
    const words = holder.querySelector("p");
    (async () => {
      if (location.hash.length < 2) {
        words.textContent = "The key is missing: it is the part of the address behind the #. Ask whoever sent you the address for the whole of it.";
        return;
      }
      try {
        const body = decode(holder.dataset.encrypted);
        const key = await imported(decode(location.hash.slice(1)), "decrypt");
        const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: body.subarray(0, 12) }, key, body.subarray(12));
        const text = new TextDecoder().decode(plain);
        const pre = document.createElement("pre");
        pre.className = "code";
        pre.tabIndex = 0;
        pre.setAttribute("role", "region");
        pre.setAttribute("aria-label", "Text");
        number(pre, text.replace(/\r?\n$/, "").split(/\r?\n/));
        holder.after(pre);
        words.textContent = "Decrypted here, with the key in the address. The server does not know it.";
      } catch {
        words.textContent = "This key does not open it. Check whether the whole address was copied.";
        holder.classList.add("bad");
      }
    })();
    addEventListener("hashchange", () => location.reload());
    return;
  }

  const page = document.querySelector("[data-paste-page]");
  if (!page) return;

  // #L5-L9 marks a range; a click on a number names a line, with Shift everything from the one named before.
  const named = () => /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash)?.slice(1).filter(Boolean).map(Number);
  const mark = () => {
    const range = named();
    if (!range) return;
    const [from, to] = [Math.min(...range), Math.max(...range)];
    for (const line of page.querySelectorAll(".ln.on")) line.classList.remove("on");
    for (let at = from; at <= to; at++) {
      const line = document.getElementById(`L${at}`);
      if (!line) break;
      line.classList.add("on");
      if (at === from && range.length > 1) line.scrollIntoView({ block: "center" });
    }
  };
  page.addEventListener("click", (event) => {
    const link = event.target.closest?.(".ln>a[data-n]");
    const before = named();
    if (!link || !event.shiftKey || !before) return;
    event.preventDefault();
    const here = Number(link.dataset.n);
    location.hash = `#L${Math.min(before[0], here)}-L${Math.max(before[0], here)}`;
  });
  addEventListener("hashchange", mark);
  mark();

  // One letter, where nobody types.
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input,textarea,select")) return;
    page.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click();
  });
})();
