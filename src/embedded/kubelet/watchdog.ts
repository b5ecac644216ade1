/**
 * Who ends the containers when the kubelet itself is killed?
 *
 * Our own programs watch the parent pipe; commands of others do not. So one sleeping shell holds a pipe from the
 * kubelet; when that closes, it kills whatever carries this kubelet life's marker. It knows the life, not only the
 * control plane, so it never touches what the next kubelet has started already.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

import { MARKER } from './sweep.js';

const SCRIPT = `trap '' TERM INT HUP
read -r _
round=0
while [ $round -lt 20 ]; do
  found=$(grep -laF -- "$1" /proc/[0-9]*/environ 2>/dev/null)
  [ -n "$found" ] || exit 0
  for environ in $found; do
    pid=\${environ#/proc/}
    kill -9 "\${pid%/environ}" 2>/dev/null
  done
  round=$((round + 1))
done`;

/** Starts the watchdog for a marker prefix; `stop` lets it look once more and go. Nothing where there is no /proc. */
export const startWatchdog = (prefix: string): Readonly<{ stop: () => void }> => {
  if (!existsSync('/proc/self/environ')) return { stop: () => undefined };
  const dog = spawn('/bin/sh', ['-c', SCRIPT, 'krt-watchdog', `${MARKER}=${prefix}`], {
    cwd: '/',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  dog.on('error', () => undefined);
  dog.unref();
  const { stdin } = dog;
  stdin.on('error', () => undefined);
  return { stop: () => stdin.end() };
};
