/**
 * Everything under way in the model: messages, calls, answers, effects, each in a channel that keeps its order.
 *
 * Channels do not wait for each other, so what is delivered next is a choice: the first of any channel whose receiver
 * is there. Time passes only where the model says so.
 */

/** A process of the model: what is sent to a dead one is dropped, what is sent to a paused one waits. */
export type Receiver = { isAlive: boolean; isPaused: boolean };

/** One thing under way. */
export type Item = {
  readonly seq: number;
  readonly channel: string;
  /** Says what it is, content included: two items with one label do the same to one state. */
  readonly label: string;
  /** Asked when it is about to be delivered; undefined: somebody who is always there. */
  readonly to: () => Receiver | undefined;
  readonly run: () => void;
  /** What happens instead when the network loses it; absent: it cannot be lost by itself. */
  readonly lose: (() => void) | undefined;
  /** Of no interest to the protocol: done at once. */
  readonly isQuiet: boolean;
  /** It cannot be late: whoever is told notices it himself. */
  readonly isPrompt: boolean;
  readyMs: number;
};

export type Sent = Readonly<{
  channel: string;
  label: string;
  to?: () => Receiver | undefined;
  run: () => void;
  lose?: () => void;
  isQuiet?: boolean;
  isPrompt?: boolean;
  /** Not before this much time has passed. */
  afterMs?: number;
}>;

export class Post {
  readonly #channels = new Map<string, Item[]>();
  readonly #nowMs: () => number;
  #seq = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  send({
    channel,
    label,
    to = () => undefined,
    run,
    lose,
    isQuiet = false,
    isPrompt = false,
    afterMs = 0,
  }: Sent): void {
    this.#seq += 1;
    const item = {
      seq: this.#seq,
      channel,
      label,
      to,
      run,
      lose,
      isQuiet,
      isPrompt,
      readyMs: this.#nowMs() + afterMs,
    };
    const queue = this.#channels.get(channel);
    if (queue) queue.push(item);
    else this.#channels.set(channel, [item]);
  }

  /** Firsts of channels whose receiver is there and not paused, whether or not their time has come. */
  heads(): ReadonlyArray<Item> {
    const heads: Item[] = [];
    for (const [channel, queue] of this.#channels) {
      while (queue[0]?.to()?.isAlive === false) queue.shift();
      const [head] = queue;
      if (head === undefined) this.#channels.delete(channel);
      else if (head.to()?.isPaused !== true) heads.push(head);
    }
    return heads;
  }

  take(item: Item): void {
    const queue = this.#channels.get(item.channel);
    const at = queue?.indexOf(item) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#channels.delete(item.channel);
  }

  /** Drops what is under way in a channel. */
  drop(channel: string): void {
    this.#channels.delete(channel);
  }

  has(channel: string): boolean {
    return this.#channels.has(channel);
  }

  /** Of the items under way; equal where they are. */
  digest(nowMs: number): string {
    return [...this.#channels.values()]
      .map((queue) => queue.map((i) => `${i.label}@${Math.max(0, i.readyMs - nowMs)}`).join('>'))
      .sort()
      .join(';');
  }
}
