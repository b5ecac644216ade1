/**
 * The shells that wait for work. Each is used once.
 *
 * A new one is made after an execution was forgotten, not when one begins or ends: making a process stops the server
 * for a millisecond and keeps a processor busy for three, which those who wait for the beginning or the end would feel.
 * When nothing happens for a while, they are made then.
 */
import type { FifoStock } from '../../io/processes/fifos.js';
import type { Launched } from './launch.js';
import type { TreeMarker } from './marker.js';
import { WarmShell, type WarmShellSettings } from './warm-shell.js';

export type PoolBounds = Readonly<{
  /** Shells kept ready at least, 0 for none ever. */
  least: number;
  /** Shells kept ready at most, however many ran at once. */
  most: number;
}>;

/** With no execution beginning or ending for so long the pool is filled up, milliseconds. */
const quietMs = 50;
/** Shells that die unused one after the other, until the pool is given up. */
const deathsBound = 20;

export class WarmPool {
  readonly #settings: WarmShellSettings;
  readonly #fifos: FifoStock;
  readonly #marker: TreeMarker;
  readonly #bounds: PoolBounds;
  readonly #idle: WarmShell[] = [];
  #running = 0;
  #peak = 0;
  #deaths = 0;
  #closed = false;
  #quiet: NodeJS.Timeout | undefined;

  constructor(settings: WarmShellSettings, fifos: FifoStock, marker: TreeMarker, bounds: PoolBounds) {
    this.#settings = settings;
    this.#fifos = fifos;
    this.#marker = marker;
    this.#bounds = bounds;
  }

  /** Shells that wait now. */
  get idle(): number {
    return this.#idle.length;
  }

  /** Makes the shells that are missing, with a turn for everything else after each. */
  fill(): void {
    if (!this.#isShort()) return;
    this.#make();
    setImmediate(() => this.fill());
  }

  /**
   * Starts an execution in a waiting shell, or in a new one if none waits.
   *
   * @throws Error when a new one can not be made, or there is no room for what it is to do; nothing was begun then.
   */
  launch(prelude: (shell: WarmShell) => string): Launched {
    const shell = this.#idle.shift() ?? new WarmShell(this.#settings, this.#fifos, this.#marker);
    shell.child.removeAllListeners('exit');
    const launched = shell.launch(prelude(shell));
    this.#deaths = 0;
    this.began();
    return launched;
  }

  /** Counts an execution, warm or not. */
  began(): void {
    this.#running += 1;
    this.#peak = Math.max(this.#peak, this.#running);
    this.#fillWhenQuiet();
  }

  /** Forgets what has been counted so far. */
  reset(): void {
    this.#running = 0;
    this.#peak = 0;
  }

  /** An execution is over. */
  ended(): void {
    this.#running -= 1;
    this.#fillWhenQuiet();
  }

  /** Nobody has anything to do with an execution any more: time to make the next shell. */
  forgotten(): void {
    setImmediate(() => {
      if (this.#isShort()) this.#make();
    });
  }

  /** Lets all waiting shells go and makes no more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#quiet);
    for (const shell of this.#idle.splice(0)) {
      shell.child.removeAllListeners('exit');
      shell.dismiss();
    }
  }

  #isShort(): boolean {
    const { least, most } = this.#bounds;
    return (
      !this.#closed &&
      this.#deaths < deathsBound &&
      this.#idle.length < Math.min(most, Math.max(least, this.#peak))
    );
  }

  #make(): void {
    try {
      const shell = new WarmShell(this.#settings, this.#fifos, this.#marker);
      shell.child.once('exit', () => this.#died(shell));
      this.#idle.push(shell);
    } catch {
      // Out of processes: an execution will meet the same and say so. Not tried again before the next one ends.
      this.#deaths += 1;
    }
  }

  #died(shell: WarmShell): void {
    const at = this.#idle.indexOf(shell);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    shell.dismiss();
    this.#deaths += 1;
    this.#fillWhenQuiet();
  }

  #fillWhenQuiet(): void {
    clearTimeout(this.#quiet);
    if (this.#closed) return;
    this.#quiet = setTimeout(() => this.fill(), quietMs);
    this.#quiet.unref();
  }
}
