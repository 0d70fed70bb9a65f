// Draws the tables of `figure.chart` with uPlot, and again when they, the width or the theme change.
"use strict";
(() => {
  const HEIGHT = 200;
  const LOOKS = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5"];
  const OTHERS = "--edge";
  const charts = new Map();
  // What the tables hold, by the figure's id; a stack is drawn from sums of it.
  const known = new Map();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
  const dollars = (value) => {
    const size = Math.abs(value);
    const decimals = size && size < 1 ? 1 - Math.floor(Math.log10(size)) : 2;
    return "$" + (size >= 1000 ? compact.format(value) : value.toFixed(decimals));
  };
  const WHOLE = [...Array(15).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  const UNITS = {
    count: { scale: 1, steps: WHOLE, text: (value) => compact.format(value) },
    usd: { scale: 1e-9, text: dollars },
    ms: { scale: 1, text: (value) => (value >= 1000 ? `${+(value / 1000).toFixed(2)} s` : `${+value.toFixed(1)} ms`) },
  };

  const read = (figure, scale) => {
    const titles = [...figure.querySelectorAll("details thead th")].map((cell) => cell.textContent);
    const columns = titles.map(() => []);
    for (const row of figure.querySelectorAll("details tbody tr")) {
      [...row.cells].forEach((cell, at) => {
        const value = cell.dataset.value;
        columns[at].push(value === "" ? null : Number(value) * (at ? scale : 1));
      });
    }
    return { titles, columns };
  };

  // Each column with all that are stacked below it, so that those behind are drawn first.
  const stacked = ([moments, ...columns]) => {
    const heights = moments.map(() => 0);
    return [moments, ...columns.reverse().map((column) => column.map((value, i) => (heights[i] += value))).reverse()];
  };

  const DAY = 86400;
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const calendar = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
  const moments = (plot, ticks) => {
    const format = ticks.length > 1 && ticks[1] - ticks[0] >= DAY ? calendar : clock;
    return ticks.map((seconds) => format.format(new Date(seconds * 1000)));
  };

  const wider = (plot, low, high) => {
    const step = plot.data[0].length > 1 ? plot.data[0][1] - plot.data[0][0] : 60;
    return [low - step / 2, high + step / 2];
  };

  const axis = (text) => ({
    stroke: colour("--muted"), font: "12px system-ui", grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false }, ...text,
  });

  // As wide as the texts of the axis need; uPlot asks again until nothing changes.
  const roomy = (plot, texts) => Math.max(64, 16 + 7.5 * Math.max(0, ...(texts ?? []).map((text) => text.length)));

  // Points that no line leads to.
  const lonely = (plot, at) => {
    const values = plot.data[at];
    return [...values.keys()].filter((i) => values[i] != null && values[i - 1] == null && values[i + 1] == null);
  };

  const series = (figure, title, at, last) => {
    const unit = UNITS[figure.dataset.unit];
    const line = figure.dataset.shape === "line";
    const stroke = colour(last && "others" in figure.dataset ? OTHERS : LOOKS[at % LOOKS.length]);
    const bars = { paths: uPlot.paths.bars({ size: [0.8, 40], radius: 0.1 }), fill: stroke, width: 0 };
    const text = (_, __, place, i) => {
      const value = i == null ? null : known.get(figure.id)[place][i];
      return value == null ? "–" : unit.text(value);
    };
    return {
      label: title, stroke, points: { show: line, size: 4, filter: lonely }, value: text,
      ...(line ? { width: 2, spanGaps: false } : bars),
    };
  };

  const data = (figure, columns) => {
    known.set(figure.id, columns);
    return figure.dataset.shape === "stack" ? stacked(columns) : columns;
  };

  const draw = (figure) => {
    const plot = figure.querySelector(".plot");
    const unit = UNITS[figure.dataset.unit];
    const { titles, columns } = read(figure, unit.scale);
    charts.get(figure.id)?.destroy();
    charts.set(figure.id, new uPlot({
      width: plot.clientWidth, height: HEIGHT, cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      legend: { live: true },
      padding: [8, 20, 0, 0],
      scales: { x: { range: wider }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [axis({ space: 70, values: moments }), axis({ size: roomy, values: (_, ticks) => ticks.map(unit.text), ...(unit.steps && { incrs: unit.steps }) })],
      series: [{ label: titles[0], value: (_, seconds) => (seconds == null ? "–" : new Date(seconds * 1000).toLocaleString()) },
        ...titles.slice(1).map((title, at, { length }) => series(figure, title, at, at === length - 1))],
    }, data(figure, columns), plot));
  };

  const all = () => document.querySelectorAll("figure.chart");
  const redraw = () => all().forEach(draw);
  const resize = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      charts.get(target.parentElement.id)?.setSize({ width: contentRect.width, height: HEIGHT });
    }
  });

  redraw();
  all().forEach((figure) => resize.observe(figure.querySelector(".plot")));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("coo:changed", () => {
    for (const figure of all()) {
      charts.get(figure.id)?.setData(data(figure, read(figure, UNITS[figure.dataset.unit].scale).columns));
    }
  });
})();
