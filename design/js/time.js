// Keeps relative times and countdowns true while a page stays open: <time data-ago>, <span data-until="unix seconds">.
(() => {
  const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const span = (seconds) => {
    const [size, name] = units.find(([size]) => seconds >= size) ?? units[3];
    const count = Math.floor(seconds / size);
    return `${count} ${name}${count === 1 ? "" : "s"}`;
  };
  const tick = () => {
    if (document.hidden) return;
    const now = Date.now() / 1000;
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const passed = Math.floor(now - Date.parse(time.dateTime) / 1000);
      const words = passed < 5 ? "now" : `${span(passed)} ago`;
      if (passed >= 0 && time.textContent !== words) time.textContent = words;
    }
    for (const until of document.querySelectorAll("[data-until]")) {
      const left = Math.ceil(Number(until.dataset.until) - now);
      const words = left > 0 ? `in ${left < 120 ? `${left} s` : span(left)}` : "now";
      if (until.textContent !== words) until.textContent = words;
    }
  };
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
})();
