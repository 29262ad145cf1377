// The theme switch in place. Without this script the form goes to the server and comes back.
(() => {
  const form = document.querySelector("form.theme");
  if (!form) return;
  form.addEventListener("submit", (event) => {
    const theme = event.submitter?.value;
    if (!theme) return;
    event.preventDefault();
    const system = theme === "system";
    if (system) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const secure = location.protocol === "https:" ? ";secure" : "";
    document.cookie = `theme=${theme};path=/;samesite=lax;max-age=${system ? 0 : 31536000}${secure}`;
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === theme));
    }
  });
})();
