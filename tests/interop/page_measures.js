// What is measured of a page: contrast, overflow, names, landmarks, sizes of what is pressed (WCAG 2.2 AA). Returns what is wrong, a line each.
() => {
  const faults = [];
  const isShown = element => {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    return style.visibility !== "hidden" && style.display !== "none" && box.width > 1 && box.height > 1;
  };
  const describe = element => `${element.tagName.toLowerCase()}${element.id ? "#" + element.id : ""}` +
    `.${[...element.classList].join(".")} "${(element.textContent ?? "").trim().slice(0, 30)}"`;

  // Contrast of text (1.4.3): 4.5:1, large text 3:1.
  const parse = text => {
    const parts = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return { rgb: parts.slice(0, 3), alpha: parts[3] ?? 1 };
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(each => each / 255).map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(each).backgroundColor);
      if (alpha > 0.99) return rgb;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || seen.has(element) || !isShown(element)) continue;
    seen.add(element);
    if (element.closest(":disabled, option, script, title, .hidden, .skip")) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    if (!size) continue;
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const found = ratio(parse(ink).rgb, ground(element instanceof SVGElement ? element.closest("div") : element));
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (found < (isLarge ? 3 : 4.5)) faults.push(`contrast ${found.toFixed(2)}: ${describe(element)}`);
  }

  // Contrast of what is no text (1.4.11): edges of controls, and the blocks of the timeline.
  for (const element of document.querySelectorAll("button, input, select")) {
    if (!isShown(element) || element.disabled) continue;
    const style = getComputedStyle(element), around = ground(element.parentElement);
    const edge = Math.max(ratio(parse(style.borderTopColor).rgb, around), ratio(ground(element), around));
    if (edge < 3) faults.push(`edge ${edge.toFixed(2)}: ${describe(element)}`);
  }
  for (const element of document.querySelectorAll(".timeline .block:not(.doubt), .fill")) {
    const style = getComputedStyle(element);
    const ink = parse(element instanceof SVGElement ? style.fill : style.backgroundColor).rgb;
    const found = ratio(ink, ground(element.closest(".card")));
    if (found < 3) faults.push(`graphic ${found.toFixed(2)}: ${describe(element)}`);
  }

  // Nothing is wider than the screen (1.4.10), and no words are cut off.
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page is ${wide} px too wide`);
  for (const element of document.querySelectorAll("main *")) {
    if (!isShown(element) || element.closest(".scroller, .hidden, svg, pre, tr")) continue;
    const box = element.getBoundingClientRect();
    if (box.right > document.documentElement.clientWidth + 1 || box.left < -1) faults.push(`sticks out: ${describe(element)}`);
  }
  for (const element of document.querySelectorAll("button, h1, h2, h3, th, td, dd")) {
    if (isShown(element) && element.scrollWidth > element.clientWidth + 2 && !element.closest(".hidden, .track"))
      faults.push(`cut off: ${describe(element)}`);
  }

  // Targets are at least 24 px (2.5.8), except links within text.
  for (const element of document.querySelectorAll("button, input, select, nav a, summary")) {
    const box = element.getBoundingClientRect();
    if (isShown(element) && (box.height < 24 || box.width < 24)) faults.push(`small: ${describe(element)}`);
  }

  // Every control has a name, every id is one, references lead somewhere (4.1.2).
  const named = element => element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.length ||
    document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
  for (const element of document.querySelectorAll("a, button, input, select, [role=meter], [role=img], [role=region], audio, [tabindex='0']"))
    if (isShown(element) && !named(element)) faults.push(`no name: ${describe(element)}`);
  const ids = [...document.querySelectorAll("[id]")].map(each => each.id);
  for (const id of ids.filter((each, at) => ids.indexOf(each) !== at)) faults.push(`two elements are #${id}`);
  for (const name of ["aria-labelledby", "aria-controls", "for"])
    for (const element of document.querySelectorAll(`[${name}]`))
      if (!document.getElementById(element.getAttribute(name))) faults.push(`${name} leads nowhere: ${describe(element)}`);

  // One h1, no level of headings left out, the landmarks, the language (1.3.1, 2.4.1, 3.1.1).
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter(isShown).map(each => Number(each.tagName[1]));
  if (levels.filter(each => each === 1).length !== 1) faults.push(`headings of level 1: ${levels}`);
  levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) faults.push(`a level is left out: ${levels}`); });
  for (const landmark of ["main", "header", "nav"]) if (document.querySelectorAll(landmark).length !== 1) faults.push(`${landmark} is not there once`);
  if (!document.documentElement.lang || !document.title) faults.push("no language or title");
  return [...new Set(faults)];
}
