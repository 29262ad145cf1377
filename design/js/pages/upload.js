// Putting pictures up without leaving the page: <form data-upload> takes files by its field, by drag and by paste, two at
// a time, each with its progress. Without this script the form sends them itself.
(() => {
  const form = document.querySelector("form[data-upload]");
  if (!form) return;
  const field = form.querySelector("input[type=file]");
  const list = form.querySelector("[data-uploads]");
  const waiting = [];
  let running = 0;
  let failed = 0;

  const line = (name) => {
    const item = document.createElement("li");
    const label = document.createElement("span");
    label.className = "grow";
    label.textContent = name;
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", name);
    const words = document.createElement("span");
    words.className = "small muted";
    words.textContent = "waiting";
    item.append(label, bar, words);
    list.append(item);
    return { bar, words };
  };

  const send = ({ file, bar, words }) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${form.action}?name=${encodeURIComponent(file.name ?? "")}`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
      words.textContent = event.loaded === event.total ? "looking at it" : `${Math.floor(100 * bar.value)} %`;
    };
    request.onloadend = () => {
      running -= 1;
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* no words came */ }
      const done = request.status === 201;
      bar.hidden = true;
      words.textContent = done ? "done" : answer.message ?? "It could not be sent. Try again.";
      words.className = done ? "small ok" : "small bad";
      if (!done) failed += 1;
      next();
    };
    request.send(file);
  };

  const next = () => {
    while (running < 2 && waiting.length) {
      running += 1;
      send(waiting.shift());
    }
    // What could not be sent stays to be read; else the page shows what is there now.
    if (running === 0 && failed === 0) location.assign("/");
  };

  const take = (files) => {
    const all = [...files];
    if (!all.length) return;
    if (running === 0 && waiting.length === 0) { failed = 0; list.replaceChildren(); }
    for (const file of all) waiting.push({ file, ...line(file.name || "pasted picture") });
    next();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(field.files);
    field.value = "";
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("over"); });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    form.classList.remove("over");
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => take(event.clipboardData?.files ?? []));
})();
