/** Types that several modules of the console share. */

type Rest = import("../web/lib/rest.js").Rest;
type PlatformSocket = import("../web/lib/socket.js").PlatformSocket;
type Run = import("../web/live/run.js").Run;
type Html = import("preact").ComponentChildren;
type Plot = import("uplot");

/** What a page is rendered with. `id` is set on pages of one item, `query` is the view. */
interface PageProps {
  rest: Rest;
  socket: PlatformSocket;
  run: Run;
  me: Api.Me | null;
  id: string;
  query: string;
}

/** An event of the element on which it is handled. */
type On<E extends Element, T extends Event = Event> = T & { currentTarget: E; target: E };
type Submit = On<HTMLFormElement, SubmitEvent>;

/** Pairs of value and label of a choice. */
type Options<T = string> = Array<[T, string]>;

type PathOf<P extends string> = P extends `${infer Path}?${string}` ? Path : P;
/** The value of the first pattern that a path matches; never, if there is none. */
type Lookup<Pairs, Path> = Pairs extends [[infer Pattern, infer Value], ...infer Others]
  ? Path extends Pattern ? Value : Lookup<Others, Path>
  : never;
type Answer<M extends keyof Api.Answers, P extends string> = Lookup<Api.Answers[M], PathOf<P>>;
type Sent<M extends keyof Api.Bodies, P extends string> = Lookup<Api.Bodies[M], PathOf<P>>;
/** The fields of an answer that are lists. */
type ListsOf<A> = { [K in keyof A]: A[K] extends Array<any> ? K : never }[keyof A] & string;
type EntryOf<L> = L extends Array<infer T> ? T : never;

/** The documents of a shadow that the console shows; headsets of earlier versions report them in another shape. */
interface ShadowState {
  desired?: Record<string, any>;
  reported?: Record<string, any>;
}

/** A frame of the WebSocket, docs/protocol.md. */
type Frame = Record<string, any>;

declare var uPlot: typeof import("uplot");

/** Audio worklets, which TypeScript does not describe. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new (options: any) => AudioWorkletProcessor): void;
declare const sampleRate: number;
