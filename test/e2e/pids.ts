/** Which processes belong to a control plane? */
import { readdirSync, readFileSync } from 'node:fs';

/** Command lines, of processes that live, which hold the text. */
export const commandLinesWith = (text: string): ReadonlyArray<string> =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
      } catch {
        return [];
      }
    })
    .filter((line) => line.includes(text));

/** Pids whose environment holds this text and whose command line names the program. */
export const pidsWith = (marker: string, program: string): ReadonlyArray<number> =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(marker) &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(program)
        );
      } catch {
        return false;
      }
    });
