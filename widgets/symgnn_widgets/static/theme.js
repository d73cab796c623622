// The page's theme, light or dark, and the colours of either: what is drawn for a white page is asked for here.
globalThis.symgnnTheme ??= ((inDark) => {
  const told = new Set();
  const isDark = () => globalThis.document?.body?.dataset.jpThemeLight === "false";
  let dark = isDark();
  new MutationObserver(() => {
    if (dark === isDark()) return;
    dark = isDark();
    told.forEach((tell) => tell(dark));
  }).observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });

  // Colours anywhere in a figure; numbers are left as they are, and words that are called like a colour too.
  const WORDS = new Set(["text", "name", "hovertext", "hovertemplate", "ticktext", "labels", "customdata"]);
  const recolour = (part) => {
    if (typeof part === "string") return inDark[part] ?? part;
    if (Array.isArray(part)) return ["string", "object"].includes(typeof part[0]) ? part.map(recolour) : part;
    if (part === null || typeof part !== "object" || ArrayBuffer.isView(part)) return part;
    return Object.fromEntries(
      Object.entries(part).map(([name, inner]) => [name, WORDS.has(name) ? inner : recolour(inner)]));
  };

  return {
    isDark,
    of: (part) => (isDark() ? recolour(part) : part),
    // Calls `tell` with every change, until what is returned is called.
    watch(tell) {
      told.add(tell);
      return () => told.delete(tell);
    },
  };
})
