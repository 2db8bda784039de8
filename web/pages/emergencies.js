/** Emergencies: current ones, and those of the past. The filters are in the URL. */
import { html, useMemo } from "../lib/html.js";
import { EmergencyList, SESSION, Source } from "../ui/emergency-list.js";
import { Filters, Pages, SelectFilter, Suggestions, TextFilter } from "../ui/filters.js";
import { Alert, EmergencyBanner, Empty, Heading, useRequest } from "../ui/parts.js";

const POLL_MS = 3000;
const ALL_POLL_MS = 10_000; // of all owners
const NAMES_POLL_MS = 60_000;
const PAGE = 50;
const MAX_REQUESTS = 10; // for one page: a rare kind can be far apart
const KINDS = { siren: "Siren", horn: "Horn", alarm: "Alarm" };
const STATES = { false: "Not acknowledged", true: "Acknowledged" };
const TIMES = { 1: "Last hour", 24: "Last 24 hours", 168: "Last 7 days", 720: "Last 30 days", range: "From … to …" };
const HOUR_S = 3600;

/** @param {PageProps} props */
export function Emergencies({ rest, me, query }) {
  const view = new URLSearchParams(query);
  const seesAll = me && me.role !== "listener";
  const ofAll = Boolean(seesAll) && !view.has("owner") && !view.has("source");
  const { data, error, reload } = useRequest(async () => me && load(rest, view, ofAll), [query, ofAll, !me], ofAll ? ALL_POLL_MS : POLL_MS);
  const owner = view.get("owner") || data?.events[0]?.owner || "";
  const devices = useRequest(async () => (ofAll ? [] : rest.all(`/api/devices?owner=${encodeURIComponent(owner)}`, "devices")), [owner, ofAll], NAMES_POLL_MS);
  const names = ofAll ? thingsOf(data) : new Map((devices.data ?? []).map(({ thing, name }) => [thing, name || thing]));
  // The same node is not rendered again, which would undo what is being typed.
  const filters = useMemo(() => html`<${EmergencyFilters} view=${view} seesAll=${seesAll} />`, [query, seesAll]);
  return html`
    <${Heading} title="Emergencies" text="A siren, horn or alarm switches cancelling off until ten seconds after the last detection." />
    ${(error || devices.error) && html`<${Alert} kind="error">${error || devices.error}<//>`}
    ${data && (data.sources.length
      ? html`<${EmergencyBanner}>${data.sources.map((event, i) => html`${i ? "; " : ""}${event.kind} at <${Source} ...${{ event, names }} />`)}<//>`
      : html`<${Alert} kind="done">No emergency is active.<//>`)}
    <section class="card" aria-label="Past emergencies">
      ${filters}<${Suggestions} groups=${{ source: [...names.keys()].map((value) => ({ value })) }} />
      ${data && devices.data && (data.events.length
        ? html`<${EmergencyList} events=${data.events} names=${names} rest=${rest} onChanged=${reload} showOwner=${ofAll} />`
        : view.size
          ? html`<${Empty} title="No emergency found">Change or clear the filters.<//>`
          : html`<${Empty} title="No emergencies yet">To create one, click “Play a siren” on the Live page.<//>`)}
      ${data && html`<${Pages} page="emergencies" view=${view} next=${data.next} label="Pages of emergencies" />`}
    </section>`;
}

/**
 * Return the things of all owners; their display names are on their pages.
 * @param {{sources: Api.EmergencyEvent[], events: Api.EmergencyEvent[]} | null} data
 * @returns {Map<string, string>}
 */
function thingsOf(data) {
  const sources = [...data?.sources ?? [], ...data?.events ?? []].map(({ source }) => source);
  return new Map(sources.filter((source) => !SESSION.test(source)).map((source) => [source, source]));
}

/**
 * Load the active emergencies, and a page of those that match the view, the newest first.
 * @param {Rest} rest @param {URLSearchParams} view @param {boolean} ofAll  whether of all owners
 */
async function load(rest, view, ofAll) {
  const conditions = new URLSearchParams(view);
  const hours = Number(conditions.get("hours"));
  conditions.delete("hours");
  if (hours) conditions.set("since", String(Math.floor(Date.now() / 1000 - hours * HOUR_S)));
  if (ofAll) conditions.set("all_owners", "true");
  const scope = new URLSearchParams([...conditions].filter(([name]) => ["owner", "all_owners", "source"].includes(name)));
  const { sources } = await rest.get(`/api/emergency/status?${scope}`);
  for (let requests = 1; ; requests++) {
    const { events, next } = await rest.get(`/api/emergency/events?sort=-at&limit=${PAGE}&${conditions}`);
    if (events.length || !next || requests === MAX_REQUESTS) return { sources, events, next };
    conditions.set("after", next);
  }
}

/** @param {{view: URLSearchParams, seesAll: boolean | null}} props */
function EmergencyFilters({ view, seesAll }) {
  const isRange = view.has("since") || view.has("until");
  return html`<${Filters} page="emergencies" view=${view} label="Emergencies" read=${withTimes}>
    <${SelectFilter} view=${view} name="kind" label="Kind" options=${KINDS} />
    <${TextFilter} view=${view} name="source" label="Headset" suggested />
    <${SelectFilter} view=${view} name="acknowledged" label="State" options=${STATES} />
    <${SelectFilter} view=${view} name="hours" label="Time" options=${TIMES} value=${isRange ? "range" : view.get("hours") ?? ""} />
    ${isRange && html`<label>From<input type="datetime-local" name="since" value=${localTime(view.get("since"))} /></label>
      <label>To<input type="datetime-local" name="until" value=${localTime(view.get("until"))} /></label>`}
    ${seesAll && html`<${TextFilter} view=${view} name="owner" label="Owner" placeholder="all" maxLength=${128} />`}
  <//>`;
}

/** Return the fields of the form with the time range in seconds since the epoch; a new range is the last day. @param {Record<string, string>} fields */
function withTimes({ hours, since, until, ...fields }) {
  if (hours !== "range") return { ...fields, hours, since: "", until: "" };
  const begin = since || until ? seconds(since) : String(Math.floor(Date.now() / 1000 / 60) * 60 - 24 * HOUR_S);
  return { ...fields, hours: "", since: begin, until: seconds(until) };
}

/** @param {string} local  value of an input of type `datetime-local` */
function seconds(local) {
  return local ? String(new Date(local).getTime() / 1000) : "";
}

/** Return a time as the value of an input of type `datetime-local`. @param {string | null} at */
function localTime(at) {
  if (!at) return "";
  const date = new Date(1000 * Number(at));
  return new Date(date.getTime() - 60_000 * date.getTimezoneOffset()).toISOString().slice(0, 16);
}
