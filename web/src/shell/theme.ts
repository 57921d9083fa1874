/** The theme that this browser was told to use. `public/theme.js` reads it before the first paint. */
const KEY = "rollcall.theme";

/** Turns to the other theme and remembers it where the browser allows. Returns its name. */
export function toggleTheme(): "dark" | "light" {
  const theme = currentTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be forbidden; then the choice holds as long as the page.
  }
  return theme;
}

/** The theme that is shown. */
export function currentTheme(): "dark" | "light" {
  return document.documentElement.dataset["theme"] === "dark" ? "dark" : "light";
}
