// Copy buttons: <button data-copy="id" hidden>. Without this script they stay hidden and the text can be selected.
(() => {
  const reveal = (root) => {
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  };
  const select = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    const words = button.dataset.words ?? button.textContent;
    button.dataset.words = words;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      select(source);
      button.textContent = "Selected";
    }
    clearTimeout(button.timer);
    button.timer = setTimeout(() => { button.textContent = words; }, 2000);
  });
  document.addEventListener("irc-now:replaced", (event) => reveal(event.target));
  reveal(document);
})();
