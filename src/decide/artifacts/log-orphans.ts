/**
 * Which Runs of a namespace have left nothing but logs in a store, and are gone?
 *
 * Several clusters may keep their logs in one bucket, also below namespaces of one name, so a Run that is not known here
 * may be another's. It counts as ours when one of its logs says so. Nothing is removed that is younger than an hour: what
 * is known was told a while ago, and clocks differ. Nor anything of a Run that has stored artifacts: those have a
 * finalizer, and if that is gone and they are not, somebody wanted them to stay.
 *
 * Costs a few words of memory, whatever the number of objects; those of one Run must follow each other.
 */
import { installationOf, isUid } from './keys.js';

/** Age below which a log is left alone, milliseconds. */
export const MIN_AGE_MS = 3_600_000;

/** What is known. */
export type Knowledge = Readonly<{
  namespace: string;
  /** Ours. */
  installation: string;
  /** UIDs of Runs that there are. */
  runs: ReadonlySet<string>;
  /** When this was known, milliseconds since the epoch. */
  atMs: number;
}>;

/** One object, as it is listed. */
export type Listed = Readonly<{ key: string; modifiedMs: number }>;

type Gathered = { readonly uid: string; isOurs: boolean; isLogsAlone: boolean; newestMs: number };

/** Takes the objects of a namespace, one after the other; each answer is a Run to be removed, by its UID. */
export const logOrphans = ({ namespace, installation, runs, atMs }: Knowledge) => {
  const prefix = `${namespace}/`;
  let gathered: Gathered | undefined;

  const verdict = (): string | undefined => {
    if (!gathered) return undefined;
    const { uid, isOurs, isLogsAlone, newestMs } = gathered;
    const isOrphan = isOurs && isLogsAlone && !runs.has(uid) && newestMs <= atMs - MIN_AGE_MS;
    return isOrphan ? uid : undefined;
  };

  return {
    /** The next object; the Run before it, if that is an orphan and this object is of another. */
    next: ({ key, modifiedMs }: Listed): string | undefined => {
      const [uid = '', ...rest] = key.startsWith(prefix) ? key.slice(prefix.length).split('/') : [];
      let orphan: string | undefined;
      if (gathered?.uid !== uid) {
        orphan = verdict();
        gathered = { uid, isOurs: false, isLogsAlone: isUid(uid), newestMs: 0 };
      }
      const whose = installationOf(rest.join('/'));
      gathered.isOurs ||= whose === installation;
      gathered.isLogsAlone &&= whose !== undefined;
      gathered.newestMs = Math.max(gathered.newestMs, modifiedMs);
      return orphan;
    },
    /** There are no more. */
    end: verdict,
  };
};
