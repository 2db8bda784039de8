/** A line chart (uPlot) in the colours of the theme, as wide as its container. */
import { html, useEffect, useRef } from "../lib/html.js";

const DECADES = [10, 100, 1000, 10000];

/**
 * @param {object} props
 * @param {number[][]} props.data  x values, then the y values of each line
 * @param {{label: string, colour: string, fill?: boolean}[]} props.lines  `colour` is the name of a CSS custom property
 * @param {string} props.title  caption and accessible name
 * @param {string} [props.x] @param {string} [props.y]  units of the axes
 * @param {[number, number]} [props.range]  minimum range of the y axis
 * @param {number} [props.seconds]  minimum range of the x axis; negative: before now
 * @param {[number, number]} [props.span]  range of the x axis, whatever the data
 * @param {boolean} [props.logarithmic]  x axis
 */
export function Chart({ data, lines, title, x = "s", y = "dB", range, seconds, span, height = 180, logarithmic = false }) {
  const container = useRef();
  const plot = useRef();
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      const options = settings({ container: container.current, lines, x, y, range, seconds, span, height, logarithmic });
      plot.current = new globalThis.uPlot(options, container.current.data, container.current);
    };
    container.current.data = data;
    make();
    const resized = new ResizeObserver(() => plot.current.setSize({ width: container.current.clientWidth, height }));
    resized.observe(container.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    addEventListener("themechange", make);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", make);
      removeEventListener("themechange", make);
      plot.current.destroy();
    };
  }, []);
  useEffect(() => {
    container.current.data = data;
    plot.current.setData(data);
  });
  return html`<figure class="chart"><figcaption>${title}<span class="legend">
      ${lines.length > 1 && lines.map(({ label, colour }) => html`<b key=${label} class=${`key ${colour}`}>${label}</b>`)}
    </span></figcaption><div ref=${container} role="img" aria-label=${title}></div></figure>`;
}

function settings({ container, lines, x, y, range, seconds, span, height, logarithmic }) {
  const ink = colour(container, "--soft");
  const rule = colour(container, "--line");
  const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  return {
    width: container.clientWidth, height, legend: { show: false }, padding: [8, 22, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: false, distr: logarithmic ? 3 : 1, range: (_, from, to) => span ?? xRange(from ?? 0, to ?? 0, seconds) }, y: range ? { range: (_, min, max) => [Math.min(range[0], min ?? 0), Math.max(range[1], max ?? 0)] } : {} },
    axes: [
      { ...axis, size: 30, ...(logarithmic && { splits: decadeSplits }),
        values: (_, splits) => splits.map((v) => (v == null || (logarithmic && !DECADES.includes(v)) ? "" : withUnit(v, x))) },
      { ...axis, size: 68, values: (_, splits) => splits.map((v) => (v == null ? "" : withUnit(v, y))) },
    ],
    series: [{}, ...lines.map((line) => ({
      label: line.label, stroke: colour(container, `--${line.colour}`), width: 2, points: { show: (plot) => plot.data[0].length < 3 },
      fill: line.fill ? colour(container, `--${line.colour}-wash`) : undefined,
    }))],
  };
}

/** Return the grid lines of a logarithmic axis: 1, 2 and 5 in each decade. */
function decadeSplits(_, __, from, to) {
  return DECADES.flatMap((decade) => [1, 2, 5].map((k) => k * decade)).filter((v) => v >= from && v <= to);
}

function xRange(from, to, seconds) {
  if (!seconds) return [from, to];
  return seconds < 0 ? [Math.min(from, seconds), 0] : [from, Math.max(to, from + seconds)];
}

function withUnit(value, unit) {
  const thousands = Math.abs(value) >= 1000;
  return `${thousands ? value / 1000 : Number(value.toPrecision(4))} ${thousands ? "k" : ""}${unit}`;
}

/** Return the value of a CSS custom property in the current theme. */
function colour(container, name) {
  container.style.color = `var(${name})`;
  const resolved = getComputedStyle(container).color;
  container.style.color = "";
  return resolved;
}
