/** Fleet: search the headsets of all owners, and an overview of what is wrong. The view is in the URL. */
import { html, useEffect, useMemo, useState } from "../lib/html.js";
import { changed } from "../lib/view.js";
import { Filters, Pages, SelectFilter, Suggestions, TextFilter } from "../ui/filters.js";
import { FleetHistory } from "../ui/fleet-history.js";
import { BulkActions } from "../ui/bulk-actions.js";
import { HeadsetTable } from "../ui/headset-table.js";
import { Alert, Empty, Figure, Heading, useRequest } from "../ui/parts.js";

const POLL_MS = 15_000;
const INDEX_DELAY_MS = 30_000;
const PAGE = 50;
const HOURS = { 1: "Last hour", 24: "Last 24 hours", 168: "Last 7 days", 720: "Last 30 days" };
/** @type {Record<string, string>} */
const SORTS = {
  attenuation_db: "Lowest attenuation", "-attenuation_db": "Highest attenuation", "-refused_at": "Latest refusal",
  refused_at: "Oldest refusal",
};
/** @type {Record<keyof Api.FleetGroups, string>} */
const GROUPS = { firmware: "Firmware", model: "Model", noise: "Noise" };
const FIELDS = /** @type {(keyof typeof GROUPS)[]} */ (Object.keys(GROUPS));
const SCALE_DB = 30;
/** @typedef {{tags: Map<string, string[]>, removed: Set<string>}} Done  changes that the index may not show yet */
/** @type {Done} */
const NOTHING = { tags: new Map(), removed: new Set() };

/** @param {PageProps} props */
export function Fleet({ rest, me, query }) {
  const view = new URLSearchParams(query);
  const conditions = new URLSearchParams(query);
  for (const name of ["sort", "after"]) conditions.delete(name);
  const list = useRequest(() => rest.get(`/api/fleet?limit=${PAGE}${query && `&${query}`}`), [query], POLL_MS);
  const overview = useRequest(() => rest.get(`/api/fleet/overview?${conditions}`), [conditions.toString()], 4 * POLL_MS);
  // The same node is not rendered again, which would undo what is being typed.
  const filters = useMemo(() => html`<${FleetFilters} view=${view} />`, [query]);
  const error = list.error || overview.error;
  return html`
    <${Heading} title="Fleet" text="All headsets. Noise and attenuation are from telemetry, in the cloud up to an hour old.">
      <${Download} rest=${rest} conditions=${conditions} />
    <//>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    <div class="stack">
      ${overview.data && html`<${Overview} data=${overview.data} view=${view} />`}
      ${me && me.role !== "listener" && html`<${FleetHistory} rest=${rest} />`}
      <section class="card" aria-labelledby="list"><h2 id="list">Headsets</h2>
        ${filters}<${Suggestions} groups=${overview.data?.groups} />
        ${list.data && html`<${List} key=${query} ...${{ rest, view, conditions }} page=${list.data} matching=${overview.data?.headsets}
          isOperator=${Boolean(me) && me?.role !== "listener"} onChanged=${list.reload} />`}
      </section>
    </div>`;
}

/** @param {{rest: Rest, conditions: URLSearchParams}} props */
function Download({ rest, conditions }) {
  const [error, setError] = useState("");
  const download = async () => {
    try {
      const text = await rest.get(`/api/fleet/csv?${conditions}`);
      const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      Object.assign(document.createElement("a"), { href: address, download: "fleet.csv" }).click();
      URL.revokeObjectURL(address);
      setError("");
    } catch (failure) {
      setError(failure.message);
    }
  };
  return html`<button onClick=${download}>Download CSV</button>${error && html`<${Alert} kind="error">${error}<//>`}`;
}

/** @param {{data: Api.FleetOverview, view: URLSearchParams}} props */
function Overview({ data, view }) {
  const { headsets, online, refused, reverted, attenuation, groups, worst } = data;
  return html`<section class="card" aria-labelledby="overview"><h2 id="overview">Overview</h2>
    <dl class="figures">
      <${Figure} name="Headsets" value=${headsets.toLocaleString()} id="fleet-headsets" />
      <${Figure} name="Online" value=${online.toLocaleString()} id="fleet-online" />
      <${Figure} name="Median attenuation" value=${attenuation.median_db?.toFixed(1)} unit="dB" id="fleet-median" />
      <${Figure} name="p10 to p90" value=${range(attenuation)} unit="dB" id="fleet-range" />
      <${Figure} name="Refused, 24 h" value=${refused.toLocaleString()} id="fleet-refused" />
      <${Figure} name="Reverted, 24 h" value=${reverted.toLocaleString()} id="fleet-reverted" />
    </dl>
    <div class="groups">
      ${FIELDS.map((field) => html`<${Groups} key=${field} ...${{ field, view, name: GROUPS[field], groups: groups[field] }} />`)}
      ${worst.length > 0 && html`<div><h3>Lowest attenuation</h3><ol class="worst">
        ${worst.map((headset) => html`<li key=${headset.thing}><a href=${`#/headsets/${headset.thing}`}>${headset.name || headset.thing}</a>
          <span>${headset.attenuation_db?.toFixed(1)} dB</span></li>`)}</ol></div>`}
    </div>
  </section>`;
}

/** @param {Pick<Api.AttenuationDistribution, "p10_db" | "p90_db">} attenuation */
function range({ p10_db, p90_db }) {
  return p10_db == null || p90_db == null ? null : `${p10_db.toFixed(1)} – ${p90_db.toFixed(1)}`;
}

/** Groups of headsets: each is a link to its headsets, with the attenuation as a bar from p10 to p90. @param {{field: string, name: string, view: URLSearchParams, groups: Api.HeadsetGroup[]}} props */
function Groups({ field, name, view, groups }) {
  if (!groups.length) return null;
  return html`<table class="group"><caption>${name}</caption>
    <thead><tr><th>${name}</th><th>Headsets</th><th>Median</th><th>p10 to p90</th></tr></thead>
    <tbody>${groups.map(({ value, headsets, attenuation }) => html`<tr key=${value}>
      <td><a href=${changed("fleet", view, { [field]: value })}>${value.replaceAll("_", " ")}</a></td><td>${headsets.toLocaleString()}</td>
      <td>${attenuation.median_db == null ? "–" : `${attenuation.median_db.toFixed(1)} dB`}</td>
      <td><${Spread} ...${attenuation} /></td></tr>`)}</tbody></table>`;
}

/** @param {Api.AttenuationDistribution} props */
function Spread({ p10_db, median_db, p90_db }) {
  if (p10_db == null || median_db == null || p90_db == null) return "–";
  const at = (/** @type {number} */ db) => 100 * Math.max(0, Math.min(1, db / SCALE_DB));
  return html`<svg class="spread" viewBox="0 0 100 12" preserveAspectRatio="none" role="img" aria-label=${`${range({ p10_db, p90_db })} dB`}>
    <rect class="whole" width="100" height="12" /><rect class="range" x=${at(p10_db)} width=${Math.max(1, at(p90_db) - at(p10_db))} y="2" height="8" />
    <rect class="median" x=${Math.min(98, at(median_db))} width="2" height="12" /></svg>`;
}

/** @param {{view: URLSearchParams}} props */
function FleetFilters({ view }) {
  return html`<${Filters} page="fleet" view=${view} label="Headsets">
    <${TextFilter} view=${view} name="name" label="Name begins with" />
    <${TextFilter} view=${view} name="tag" label="Tag" maxLength=${32} />
    <${TextFilter} view=${view} name="firmware" label="Firmware" suggested />
    <${TextFilter} view=${view} name="model" label="Model" suggested />
    <${TextFilter} view=${view} name="noise" label="Noise" suggested />
    <${TextFilter} view=${view} name="owner" label="Owner" maxLength=${128} />
    <${SelectFilter} view=${view} name="online" label="Connection" options=${{ true: "Online", false: "Not online" }} />
    <label>Attenuation below (dB)<input name="attenuation_below" type="number" min="-100" max="100" step="any" value=${view.get("attenuation_below") ?? ""} /></label>
    <${SelectFilter} view=${view} name="refused_hours" label="Refused" options=${HOURS} />
    <${SelectFilter} view=${view} name="reverted_hours" label="Reverted" options=${HOURS} />
    <${SelectFilter} view=${view} name="sort" label="Order" options=${SORTS} none="Default" />
  <//>`;
}

/**
 * The headsets of a page, and what can be done with the selected ones.
 * @param {{rest: Rest, page: Api.FleetHeadsets, view: URLSearchParams, conditions: URLSearchParams, matching?: number, isOperator: boolean, onChanged: () => void}} props
 */
function List({ rest, page, view, conditions, matching, isOperator, onChanged }) {
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const [done, setDone] = useState(NOTHING); // an index in the cloud follows within seconds
  const known = page.headsets.filter(({ thing }) => !done.removed.has(thing));
  const headsets = known.map((each) => ({ ...each, tags: done.tags.get(each.thing) ?? each.tags }));
  const chosen = headsets.map(({ thing }) => thing).filter((thing) => selected.has(thing));
  const follow = (/** @type {Partial<Done>} */ changes) => {
    setDone((before) => ({ ...before, ...changes }));
    onChanged();
  };
  useEffect(() => {
    const timer = setTimeout(() => setDone(NOTHING), INDEX_DELAY_MS);
    return () => clearTimeout(timer);
  }, [done.tags, done.removed]);
  const actions = {
    rest, conditions, matching, isOperator, selected: chosen, clear: () => setSelected(new Set()),
    known: [...new Set(headsets.flatMap(({ tags }) => tags))].sort(),
    onTagged: (/** @type {Api.DeviceOutcome[]} */ outcomes) => follow({ tags: new Map([...done.tags, ...outcomes.map(({ thing, tags }) => /** @type {[string, string[]]} */ ([thing, tags ?? []]))]) }),
    onRemoved: (/** @type {string[]} */ things) => follow({ removed: new Set([...done.removed, ...things]) }),
  };
  return html`
    ${headsets.length
      ? html`<${HeadsetTable} ...${{ headsets, view, selected }} select=${setSelected} />`
      : html`<${Empty} title="No headset found">Change or clear the filters.<//>`}
    <${BulkActions} ...${actions} />
    <${Pages} page="fleet" view=${view} next=${page.next} label="Pages of headsets" />`;
}
