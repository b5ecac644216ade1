/**
 * Where in a store an artifact is: `<namespace>/<run uid>/<attempt>/<name>`, and the log of an attempt:
 * `<namespace>/<run uid>/log-<attempt>-<pod uid>.<installation>`. Two Runs never meet, nor two attempts, nor the logs of
 * two pods that had the same attempt; everything of a Run is below one prefix, which is what its deletion deletes.
 */

/** Which attempt of which Run. */
export type ArtifactOwner = Readonly<{ namespace: string; uid: string; attempt: number }>;

/** Below it is everything of the Run. */
export const runPrefix = ({ namespace, uid }: Pick<ArtifactOwner, 'namespace' | 'uid'>): string =>
  `${namespace}/${uid}/`;

/** Below it is everything of the attempt. */
export const attemptPrefix = (owner: ArtifactOwner): string => `${runPrefix(owner)}${owner.attempt}/`;

/** One artifact. */
export const artifactKey = (owner: ArtifactOwner, name: string): string => `${attemptPrefix(owner)}${name}`;

/** The log of one attempt, as one pod had it; a pod that was not told its installation leaves that out. */
export const logKey = (owner: ArtifactOwner, podUid: string, installation?: string): string =>
  `${runPrefix(owner)}log-${owner.attempt}-${podUid}${installation === undefined ? '' : `.${installation}`}`;

const LOG_NAME = /^log-\d+-[0-9A-Za-z-]+(?:\.([0-9A-Za-z-]+))?$/;

/** Whose log an object below a Run's prefix is: '' where it does not say, undefined where it is no log. */
export const installationOf = (name: string): string | undefined => {
  const match = LOG_NAME.exec(name);
  return match ? (match[1] ?? '') : undefined;
};

/**
 * Whether it has the form of a key that we write: in a bucket that others use as well, what has another is theirs. UIDs of
 * Kubernetes are those of RFC 4122.
 */
export const isKeyOfRun = (key: string): boolean => {
  const [namespace = '', uid = '', ...rest] = key.split('/');
  const isRun = namespace !== '' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uid);
  const [attempt = ''] = rest;
  return (
    isRun &&
    (rest.length === 2 ? /^[1-9]\d{0,8}$/.test(attempt) : rest.length === 1 && LOG_NAME.test(attempt))
  );
};

/** Whether it can be the UID of a Run or a pod, and so a segment of a key. */
export const isUid = (uid: string): boolean => /^[0-9A-Za-z-]{1,64}$/.test(uid);

/** What is wrong with a key or prefix, or undefined. The last line of defence of every driver. */
export const keyProblem = (key: string): string | undefined => {
  const segments = key.replace(/\/$/, '').split('/');
  // The shortest prefix in use is that of a Run: nothing may be done to a namespace, or to a whole store.
  if (segments.length < 2) return 'has fewer than two segments';
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    return 'has an empty, "." or ".." segment';
  return key.includes('\0') ? 'has a NUL character' : undefined;
};

/** Attempt and name of a key below the Run's prefix; undefined for a key of another form. */
export const partsOfKey = (
  key: string,
  run: Pick<ArtifactOwner, 'namespace' | 'uid'>,
): Readonly<{ attempt: number; name: string }> | undefined => {
  const prefix = runPrefix(run);
  if (!key.startsWith(prefix)) return undefined;
  const [attempt = '', name = '', ...more] = key.slice(prefix.length).split('/');
  return /^[1-9]\d{0,8}$/.test(attempt) && name !== '' && more.length === 0
    ? { attempt: Number(attempt), name }
    : undefined;
};
