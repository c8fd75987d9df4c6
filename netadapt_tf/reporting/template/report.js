"use strict";

(() => {
  const tip = document.getElementById("tip");
  const PAPER = 660; // width of a sheet between its margins, in pixels: there charts are drawn anew, not made smaller
  const views = new Map();
  const LONG = 16; // lines; more of them stand in two columns
  const OPTIONS = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, ast: true, tooltip: onHover };

  function show(text, box) {
    tip.textContent = text;
    tip.classList.toggle("long", text.split("\n").length > LONG);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const beside = box.right + 10 + width < window.innerWidth ? box.right + 10 : box.left - 10 - width;
    tip.style.left = `${Math.max(4, Math.min(beside, window.innerWidth - width - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(box.top, window.innerHeight - height - 4))}px`;
  }

  function hide() {
    tip.hidden = true;
  }

  function onHover(handler, event, item, text) {
    if (text === null || text === undefined || text === "") {
      hide();
      return;
    }
    show(String(text), { left: event.clientX, right: event.clientX, top: event.clientY + 12 });
  }

  // The marks of a chart that say something, from left to right, or from top to bottom where they are bars.
  function marksOf(chart) {
    const marks = [...chart.querySelectorAll("svg path, svg line")].filter((mark) => mark.__data__ && mark.__data__.tooltip);
    const places = new Map(marks.map((mark) => [mark, mark.getBoundingClientRect()]));
    const isBars = marks.length > 0 && marks[0].closest(".mark-rect") !== null;
    return isBars ? marks : marks.sort((a, b) => places.get(a).left - places.get(b).left);
  }

  function walk(chart) {
    let position = -1;
    chart.addEventListener("keydown", (event) => {
      const marks = marksOf(chart);
      const last = marks.length - 1;
      const moves = {
        ArrowRight: Math.min(position + 1, last),
        ArrowDown: Math.min(position + 1, last),
        ArrowLeft: Math.max(position - 1, 0),
        ArrowUp: Math.max(position - 1, 0),
        Home: 0,
        End: last,
      };
      if (event.key === "Escape") hide();
      if (!(event.key in moves) || last < 0) return;
      event.preventDefault();
      position = moves[event.key];
      marks[position].scrollIntoView({ block: "nearest" });
      show(String(marks[position].__data__.tooltip), marks[position].getBoundingClientRect());
    });
    chart.addEventListener("blur", hide);
  }

  function fit(most) {
    for (const [chart, view] of views) view.signal("width", Math.min(chart.clientWidth, most)).run();
  }

  function draw(chart) {
    const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
    const picture = document.createElement("div");
    picture.setAttribute("aria-hidden", "true"); // the chart around it has a description
    chart.append(picture);
    return vegaEmbed(picture, spec, OPTIONS).then(({ view }) => {
      views.set(chart, view);
      chart.dataset.drawn = "yes";
      walk(chart);
    });
  }

  window.addEventListener("beforeprint", () => fit(PAPER));
  window.addEventListener("afterprint", () => fit(Infinity));

  for (const chart of document.querySelectorAll(".chart")) {
    draw(chart).catch((error) => {
      chart.textContent = "This chart cannot be drawn here; its figures are in the table.";
      console.error(error);
    });
  }
})();
