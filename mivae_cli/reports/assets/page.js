"use strict";
(() => {
  const root = document.documentElement;
  const media = matchMedia("(prefers-color-scheme: dark)");
  const { figures, themes } = JSON.parse(document.getElementById("charts").textContent);
  const PAPER = 640; // width of the text on A4, in pixels
  const SAVED = 620; // width of a saved figure
  const button = document.getElementById("theme");
  const slots = [...document.querySelectorAll(".chart")];
  const shown = new Map(); // by element: the embedded view, and how it was drawn

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : media.matches);

  function sized(figure, width) {
    const chart = structuredClone(figure.chart);
    if (figure.colour) chart.encoding.color = figure.colours[figure.colour];
    if (chart.spec) { // small charts, as many in a row as fit
      const columns = Math.max(1, Math.min(3, Math.floor(width / 160)));
      chart.columns = columns;
      chart.spacing = 18;
      chart.spec.width = Math.floor((width - 58 - 18 * (columns - 1)) / columns);
    } else {
      chart.width = width;
      chart.autosize = { type: "fit-x", contains: "padding" };
    }
    return chart;
  }

  function embedded(element, figure, width, dark, renderer) {
    return vegaEmbed(element, sized(figure, width), {
      actions: false,
      ast: true, // no eval, which the page forbids
      renderer,
      config: dark ? themes.dark : themes.light,
      tooltip: { theme: dark ? "dark" : "light" },
    });
  }

  async function draw(element, width, dark) {
    const figure = figures[element.dataset.figure];
    const state = `${width} ${dark} ${figure.colour || ""}`;
    if (!width || shown.get(element)?.state === state) return;
    shown.get(element)?.result?.finalize();
    const entry = { state };
    shown.set(element, entry);
    entry.result = await embedded(element, figure, width, dark, figure.canvas ? "canvas" : "svg");
  }

  async function drawAll(dark = isDark(), width = 0) {
    button.setAttribute("aria-pressed", String(isDark()));
    await Promise.all(slots.map((slot) => draw(slot, width && slot.closest(".small") ? width / 2 - 18 : width || slot.clientWidth, dark)));
    root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
  }

  async function save(figure, form, name) {
    const place = document.createElement("div");
    const result = await embedded(place, figure, SAVED, false, "svg");
    result.view.background("white");
    const url = await result.view.toImageURL(form, form === "png" ? 2 : undefined);
    result.finalize();
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
  }

  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    drawAll();
  });
  media.addEventListener("change", () => drawAll());
  addEventListener("beforeprint", () => drawAll(false, PAPER));
  addEventListener("afterprint", () => drawAll());
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawAll(), 150);
  });
  for (const choice of document.querySelectorAll("[data-colours]")) {
    choice.addEventListener("change", () => {
      figures[choice.dataset.colours].colour = choice.value;
      drawAll();
    });
  }
  for (const link of document.querySelectorAll("[data-save]")) {
    const { save: form, of: key } = link.dataset;
    link.addEventListener("click", () => save(figures[key], form, `${key}.${form}`));
  }
  drawAll();
})();
