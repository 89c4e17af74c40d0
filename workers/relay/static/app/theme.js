// Applies the chosen theme before the first paint; without a choice, the system's applies.
{
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
}
