// Runs before the first paint so that a dark page never flashes white. A file, not an inline script: the
// Content-Security-Policy allows scripts of this origin only.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("lakepulse.theme");
  } catch (error) {
    // Storage may be forbidden; the system's preference then decides.
    console.debug("theme preference unavailable", error);
  }
  var dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.add(dark ? "dark" : "light");
})();
