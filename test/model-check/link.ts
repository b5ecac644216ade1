/** One call of a runtimed to an operator: two channels that keep their order until they are cut. */
import { Observable, type Subscriber, type Subscription } from 'rxjs';

import type { FromOperator, FromRuntimed } from '../../src/proto/gen/session.js';
import type { Dial } from '../../streams/sidecar/session.js';
import { hash } from './hash.js';
import type { OperatorNode } from './operator-node.js';
import type { Post } from './post.js';
import type { Process } from './process.js';

export type LinkSetting = Readonly<{
  post: Post;
  pod: Readonly<{ name: string; uid: string }>;
  runtimed: Process;
  /** Who takes calls at this moment. */
  accepting: () => OperatorNode | undefined;
  /** Keeps it among those that are open. */
  register: (link: Link) => void;
}>;

/** Content of a message, for its label. */
const textOf = (message: unknown): string => hash(JSON.stringify(message));

let links = 0;

export class Link {
  readonly pod: LinkSetting['pod'];
  operator: OperatorNode | undefined;
  readonly runtimed: Process;
  readonly #post: Post;
  readonly #id: string;
  readonly #reader: Subscriber<FromOperator>;
  /** No message goes up, or down, any more. */
  #isUpClosed = false;
  #isDownClosed = false;

  constructor({ post, pod, runtimed, accepting }: LinkSetting, reader: Subscriber<FromOperator>) {
    this.#post = post;
    this.pod = pod;
    this.runtimed = runtimed;
    this.#reader = reader;
    links += 1;
    this.#id = `${pod.name} ${links}`;
    post.send({
      channel: `up ${this.#id}`,
      label: `${runtimed.id} dials`,
      run: () => {
        const operator = runtimed.isCutOff ? undefined : accepting();
        if (operator === undefined) return this.operatorIsGone();
        this.operator = operator;
      },
    });
  }

  /** runtimed says something. */
  toOperator(message: FromRuntimed): void {
    if (this.#isUpClosed) return;
    this.#post.send({
      channel: `up ${this.#id}`,
      label: `${this.runtimed.id} > operator ${message.message?.$case ?? ''} ${textOf(message)}`,
      to: () => this.operator?.process,
      run: () => this.operator?.process.isAlive && this.operator.take(this, message),
    });
  }

  /** The operator says something. */
  toPod(message: FromOperator): void {
    if (this.#isDownClosed) return;
    this.#post.send({
      channel: `down ${this.#id}`,
      label: `${this.runtimed.id} < operator ${message.message?.$case ?? ''} ${textOf(message)}`,
      to: () => this.runtimed,
      run: () => this.#reader.next(message),
    });
  }

  /** The operator's side is over: runtimed hears of it after what was said before. */
  operatorIsGone(afterMs = 0): void {
    if (this.#isDownClosed) return;
    this.#isDownClosed = true;
    this.#post.send({
      channel: `down ${this.#id}`,
      label: `${this.runtimed.id} < operator is gone`,
      to: () => this.runtimed,
      run: () => this.#reader.error(new Error('the session is over')),
      afterMs,
    });
  }

  /** runtimed's side is over: the operator hears of it after what was said before. */
  runtimedIsGone(afterMs = 0): void {
    if (this.#isUpClosed) return;
    this.#isUpClosed = true;
    this.#post.send({
      channel: `up ${this.#id}`,
      label: `${this.runtimed.id} is gone > operator`,
      to: () => this.operator?.process,
      run: () => this.operator?.lost(this),
      afterMs,
    });
  }

  /** The operator has missed the beats and ends the call. */
  hangUp(): void {
    this.runtimedIsGone();
    this.operatorIsGone();
  }

  /** The network loses it, with all that is under way; each side notices by itself. */
  cut(afterMs = 0): void {
    this.#post.drop(`up ${this.#id}`);
    this.#post.drop(`down ${this.#id}`);
    // A notice that was under way is lost, too.
    this.#isUpClosed = false;
    this.#isDownClosed = false;
    this.operatorIsGone(afterMs);
    this.runtimedIsGone(afterMs);
  }

  get isOpen(): boolean {
    return !this.#isUpClosed && !this.#isDownClosed;
  }
}

/** How a runtimed dials. */
export const dialing =
  (setting: LinkSetting): Dial =>
  (outgoing$) =>
    new Observable((reader) => {
      const link = new Link(setting, reader);
      setting.register(link);
      const said: Subscription = outgoing$.subscribe((message) => link.toOperator(message));
      return () => {
        said.unsubscribe();
        link.runtimedIsGone();
      };
    });
