/** A line chart (uPlot) in the colours of the theme, as wide as its container, with the values under the cursor. */
import { html, useEffect, useRef } from "../lib/html.js";

const DECADES = [10, 100, 1000, 10000];
const DAY_S = 86_400;

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} colour  name of a CSS custom property
 * @property {boolean} [fill]  down to zero
 * @property {boolean} [dashed]
 * @property {boolean} [edge]  of a band: this line and the next one are drawn as the area between them
 *
 * @typedef {{marks: Mark[], onZoom?: (from: number, to: number) => void, data: Column[], lines: Line[], x: string, y: string, height: number,
 *   range?: [number, number], seconds?: number, span?: [number, number], logarithmic?: boolean}} Shown
 * @typedef {{at: number, label: string}} Mark  event on the x axis
 * @typedef {(number | null)[]} Column
 *
 * @param {object} props
 * @param {Column[]} props.data  x values, then the y values of each line
 * @param {Line[]} props.lines
 * @param {string} props.title  caption and accessible name
 * @param {string} [props.x]  unit of the axis; "time" for seconds since the epoch
 * @param {string} [props.y]
 * @param {[number, number]} [props.range]  minimum range of the y axis
 * @param {number} [props.seconds]  minimum range of the x axis; negative: before now
 * @param {[number, number]} [props.span]  range of the x axis, whatever the data
 * @param {boolean} [props.logarithmic]  x axis
 * @param {Mark[]} [props.marks]
 * @param {number} [props.height]
 * @param {(from: number, to: number) => void} [props.onZoom]  called with the range that was dragged
 */
export function Chart({ data, lines, title, onZoom, marks = [], x = "s", y = "dB", height = 180, ...rest }) {
  const container = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {Plot | null} */ (null));
  const readout = useRef(/** @type {HTMLOutputElement | null} */ (null));
  const shown = useRef(/** @type {Shown} */ ({ marks, data, lines, x, y, height })); // the props of the last rendering, for callbacks of the chart
  shown.current = { marks, onZoom, data, lines, x, y, height, ...rest };
  useEffect(() => {
    const [place, values] = [container.current, readout.current];
    if (!place || !values) return undefined;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(settings(place, values, shown), aligned(shown.current.data), place);
    };
    make();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: place.clientWidth, height }));
    resized.observe(place);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    addEventListener("themechange", make);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", make);
      removeEventListener("themechange", make);
      plot.current?.destroy();
    };
  }, [lines.length]);
  useEffect(() => plot.current?.setData(aligned(data)));
  const keyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !plot.current) return;
    event.preventDefault();
    moveCursor(plot.current, step);
  };
  const names = lines.filter(({ edge }) => !edge);
  return html`<figure class="chart"><figcaption>${title}<span class="legend">
      ${names.length > 1 && names.map(({ label, colour, dashed }) => html`<b key=${label} class=${`key ${colour} ${dashed ? "dashed" : ""}`}>${label}</b>`)}
    </span></figcaption><div class="plot"><output ref=${readout}></output>
      <div ref=${container} role="img" tabindex="0" aria-label=${`${title}. Arrow keys read the values.`} onKeyDown=${keyDown}></div></div></figure>`;
}

/** @param {Column[]} data @returns {import("uplot").AlignedData} */
function aligned(data) {
  return /** @type {any} */ (data);
}

/** Move the cursor by points that have a value. @param {Plot} plot @param {number} step */
function moveCursor(plot, step) {
  const [xs, ...ys] = plot.data;
  const valued = xs.map((_, at) => at).filter((at) => ys.some((line) => line[at] != null));
  if (!valued.length) return;
  const from = valued.indexOf(plot.cursor.idx ?? -1);
  const to = from < 0 ? (step === -1 || step === Infinity ? valued.length - 1 : 0) : Math.max(0, Math.min(from + step, valued.length - 1));
  const at = valued[to];
  const top = ys.map((line) => line[at]).find((value) => value != null) ?? 0;
  plot.setCursor({ left: plot.valToPos(xs[at], "x"), top: plot.valToPos(top, "y") });
}

/** @param {HTMLElement} container @param {HTMLElement} readout @param {{current: Shown}} shown @returns {import("uplot").Options} */
function settings(container, readout, shown) {
  const { lines, x, y, range, seconds, span, height, logarithmic = false, onZoom } = shown.current;
  const ink = colour(container, "--soft");
  const rule = colour(container, "--line");
  const alarm = colour(container, "--alarm");
  const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const isTime = x === "time";
  const xValues = (/** @type {Plot} */ plot, /** @type {(number | null)[]} */ splits) => splits.map((v) => (v == null || (logarithmic && !DECADES.includes(v)) ? "" : isTime ? clock(v, plot.scales.x) : withUnit(v, x)));
  return {
    width: container.clientWidth, height, legend: { show: false }, padding: [8, 22, 0, 0],
    cursor: { drag: { x: Boolean(onZoom), y: false, setScale: false }, points: { size: 6 } },
    scales: {
      x: { time: isTime, distr: logarithmic ? 3 : 1, range: (_, from, to) => shown.current.span ?? xRange(from ?? 0, to ?? 0, seconds) },
      y: range ? { range: (_, min, max) => [Math.min(range[0], min ?? 0), Math.max(range[1], max ?? 0)] } : {},
    },
    axes: [
      { ...axis, size: 30, space: isTime ? 90 : 50, ...(logarithmic && { splits: decadeSplits }), values: xValues },
      { ...axis, size: 68, values: (_, splits) => splits.map((v) => (v == null ? "" : withUnit(v, y))) },
    ],
    series: [{}, ...lines.map((line) => ({
      label: line.label, stroke: colour(container, `--${line.colour}`), width: line.edge ? 0 : 2, dash: line.dashed ? [6, 5] : undefined,
      points: { show: (/** @type {Plot} */ plot) => !line.edge && plot.data[0].length < 3 },
      fill: line.fill ? colour(container, `--${line.colour}-wash`) : undefined,
    }))],
    bands: lines.flatMap((line, k) => (line.edge && lines[k + 1]?.edge ? [{ series: [k + 2, k + 1], fill: colour(container, `--${line.colour}-wash`) }] : [])),
    hooks: {
      setCursor: [(plot) => { readout.textContent = valuesAt(plot, shown.current); }],
      setSelect: [(plot) => {
        const { left, width } = plot.select;
        if (width < 8) return;
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        shown.current.onZoom?.(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
      }],
      draw: [(plot) => drawMarks(plot, shown.current.marks, alarm)],
    },
  };
}

/** Return the values under the cursor as text, "" without any. @param {Plot} plot @param {Shown} shown */
function valuesAt({ cursor: { idx, left }, data, scales }, { lines, x, y, marks }) {
  if (idx == null || left == null || left < 0) return "";
  const values = lines.flatMap((line, k) => {
    const value = data[k + 1][idx];
    return value == null ? [] : [`${lines.length > 1 ? `${line.label} ` : ""}${withUnit(value, y)}`];
  });
  if (!values.length) return "";
  const at = data[0][idx];
  const nearest = ((scales.x.max ?? 0) - (scales.x.min ?? 0)) / 100;
  const events = marks.filter((mark) => Math.abs(mark.at - at) < nearest).map(({ label }) => label);
  const position = x === "time" ? new Date(1000 * at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : withUnit(at, x);
  return [position, ...values, ...new Set(events)].join(", ");
}

/** @param {Plot} plot @param {Mark[]} marks @param {string} alarm  colour */
function drawMarks(plot, marks, alarm) {
  const { ctx: context, bbox: { left, top, width, height } } = plot;
  context.save();
  context.fillStyle = alarm;
  for (const { at } of marks) {
    const x = plot.valToPos(at, "x", true);
    if (x < left || x > left + width) continue;
    context.fillRect(x - 1, top, 2, height);
  }
  context.restore();
}

/** Return a time on an axis: the date, too, if the axis covers days. @param {number} seconds @param {import("uplot").Scale} scale */
function clock(seconds, { min = 0, max = 0 }) {
  const date = new Date(1000 * seconds);
  if (max - min > 2 * DAY_S) return date.toLocaleDateString([], { day: "numeric", month: "short" });
  return date.toLocaleTimeString([], { timeStyle: "short" });
}

/** Return the grid lines of a logarithmic axis: 1, 2 and 5 in each decade. */
function decadeSplits(/** @type {unknown} */ _, /** @type {number} */ __, /** @type {number} */ from, /** @type {number} */ to) {
  return DECADES.flatMap((decade) => [1, 2, 5].map((k) => k * decade)).filter((v) => v >= from && v <= to);
}

/** @param {number} from @param {number} to @param {number} [seconds] @returns {[number, number]} */
function xRange(from, to, seconds) {
  if (!seconds) return [from, to];
  return seconds < 0 ? [Math.min(from, seconds), 0] : [from, Math.max(to, from + seconds)];
}

/** @param {number} value @param {string} unit */
function withUnit(value, unit) {
  const thousands = Math.abs(value) >= 1000;
  return `${thousands ? value / 1000 : Number(value.toPrecision(4))} ${thousands ? "k" : ""}${unit}`;
}

/** Return the value of a CSS custom property in the current theme. @param {HTMLElement} container @param {string} name */
function colour(container, name) {
  container.style.color = `var(${name})`;
  const resolved = getComputedStyle(container).color;
  container.style.color = "";
  return resolved;
}
