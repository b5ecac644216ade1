/**
 * What Linux's /proc says about processes. Every function is one or two small reads; a process that went in the
 * meantime, or that belongs to somebody else, is simply not there. Without a /proc (macOS) nothing is found.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs';

/** Longer than this, and process ids may have been used up once around, milliseconds. */
export const trustMs = 2_000;

/** Whose it is. */
export type ProcessKin = Readonly<{ pid: number; parent: number; group: number; session: number }>;

export type ProcessFact = ProcessKin &
  Readonly<{
    /** When it was started, in the kernel's ticks since boot: tells two processes with one id apart. */
    start: number;
  }>;

/** Most of these files are shorter; an environment may be longer, and is then read in more pieces. */
const buffer = Buffer.allocUnsafeSlow(16_384);

/**
 * Three system calls for a file shorter than the buffer, where readFileSync makes five: the kernel fills what it is
 * given as far as it can, so a short answer is the last one.
 */
const readAll = (fd: number): Buffer => {
  const pieces: Buffer[] = [];
  for (;;) {
    const count = readSync(fd, buffer);
    pieces.push(Buffer.from(buffer.subarray(0, count)));
    if (count < buffer.length) return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }
};

const readProc = (path: string): Buffer | undefined => {
  let fd: number | undefined;
  try {
    fd = openSync(`/proc/${path}`, 'r');
    return readAll(fd);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
};

/** Is there a /proc as Linux has it? */
export const hasProc = (): boolean => readProc('self/stat') !== undefined;

/** All process ids; empty without /proc. */
export const processIds = (): readonly number[] => {
  try {
    // Names of other things begin with a letter.
    return readdirSync('/proc').flatMap((name) => (name < ':' ? Number(name) : []));
  } catch {
    return [];
  }
};

/**
 * The process id given out last, by the kernel's own count (the last field of /proc/loadavg); undefined where a
 * sandbox does not say. Ids rise until they wrap, so "none since" means that nothing was forked since.
 */
export const lastProcessId = (): number | undefined => {
  const last = Number(readProc('loadavg')?.toString('latin1').trim().split(' ').at(-1));
  return Number.isInteger(last) && last > 0 ? last : undefined;
};

/** Ticks of the clock by which `start` of a process is told, per second: USER_HZ, which no Linux has otherwise. */
const TICKS_PER_SECOND = 100;

/** By how many ticks the two clocks may differ in rounding and reading. */
const SLACK_TICKS = 5;

/**
 * A moment at which all that is there now was started, in ticks since boot, as `start` is. Undefined without /proc, and where
 * /proc/uptime is not the kernel's own, by which starts are told, but a container's (lxcfs): our own start and age say that.
 */
export const ticksNow = (): number | undefined => {
  const seconds = Number(readProc('uptime')?.toString('latin1').split(' ')[0]);
  const ticks = Math.round(seconds * TICKS_PER_SECOND) + SLACK_TICKS;
  ownStart ??= processFact(process.pid)?.start;
  const least = (ownStart ?? Number.NaN) + (performance.now() / 1_000) * TICKS_PER_SECOND;
  return ticks >= least ? ticks : undefined;
};
let ownStart: number | undefined;

/** A living process; zombies are over and not reported. Waits for one that is in its exec (Linux 6.18: seconds, in a storm). */
export const processFact = (pid: number): ProcessFact | undefined => {
  // Most that are asked for are gone, and an error costs more than the question.
  if (!existsSync(`/proc/${pid}`)) return undefined;
  // "pid (any name, even with ) in it) S ppid pgrp session ..."
  const stat = readProc(`${pid}/stat`)?.toString('latin1');
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  const [state, parent, group, session] = fields;
  return state === undefined || state === 'Z' || state === 'X'
    ? undefined
    : {
        pid,
        parent: Number(parent),
        group: Number(group),
        session: Number(session),
        start: Number(fields[19]),
      };
};

/**
 * The same without its start, and without waiting for one that is in its exec. A kernel that does not say it there (one
 * without namespaces, a sandbox) is asked as `processFact` asks.
 */
export const processKin = (pid: number): ProcessKin | undefined => {
  const status = readProc(`${pid}/status`)?.toString('latin1');
  if (status === undefined || /^State:\t[ZX]/m.test(status)) return undefined;
  // Of several values the first is that of the namespace whose /proc this is.
  const kin = /^PPid:\t(\d+)$.*?^NSpgid:\t(\d+).*?^NSsid:\t(\d+)/ms.exec(status);
  return kin
    ? { pid, parent: Number(kin[1]), group: Number(kin[2]), session: Number(kin[3]) }
    : processFact(pid);
};

/**
 * Has it memory? A process that is over has none, whether anybody has reaped it or not; nor has a thread of the kernel.
 * Says less than `processFact`, and waits for no process that is in its exec.
 */
export const hasMemory = (pid: number): boolean => {
  const size = readProc(`${pid}/statm`)?.toString('latin1');
  return size !== undefined && size !== '' && !size.startsWith('0 ');
};

/** Was the process started with this environment entry? What it changed since is not seen, what it inherited is. */
export const hasEnvironEntry = (pid: number, entry: string): boolean => {
  const environ = readProc(`${pid}/environ`);
  if (environ === undefined) return false;
  const wanted = Buffer.from(`${entry}\0`);
  const at = environ.indexOf(wanted);
  return at === 0 || (at > 0 && environ.indexOf(Buffer.concat([Buffer.of(0), wanted])) >= 0);
};

/**
 * The environment entry of this name that the process was started with, '' when it has none, or hides it from us;
 * undefined while it shows no environment at all, as in the middle of an exec.
 */
export const environEntry = (pid: number, name: string): string | undefined => {
  const environ = readProc(`${pid}/environ`);
  if (environ === undefined) return '';
  if (environ.length === 0) return undefined;
  const text = `\0${environ.toString('latin1')}`;
  const at = text.indexOf(`\0${name}=`);
  if (at < 0) return '';
  const end = text.indexOf('\0', at + 1);
  return text.slice(at + 1, end < 0 ? text.length : end);
};

/** The hard limit on realtime CPU time (RLIMIT_RTTIME) in microseconds; undefined when unlimited. */
export const realtimeLimit = (pid: number): number | undefined => {
  const line = /^Max realtime timeout +\S+ +(\d+)/m.exec(readProc(`${pid}/limits`)?.toString('latin1') ?? '');
  return line?.[1] === undefined ? undefined : Number(line[1]);
};
