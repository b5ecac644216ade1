/** Names that users and other programs see on objects (contract, "Names"). */

/** Label with the Runtime's name, for people. */
export const RUNTIME_LABEL = 'runtime';
/** Label with the Runtime's name, what the operator selects by. */
export const RUNTIME_KEY = 'kruntimes.io/runtime';
/** Label with the hash of what the pod was made from. */
export const REVISION_KEY = 'kruntimes.io/revision';
/** Annotation prefix: capacity of the pod per logical resource. */
export const CAPACITY_PREFIX = 'kruntimes.io/capacity.';
/** Annotation: since when the pod takes no more Runs, because it is to go. RFC 3339. */
export const CORDONED_KEY = 'kruntimes.io/cordoned-since';
/** Pod condition, also a readiness gate: runtimed has a session and a healthy Runtime Server. */
export const RUNTIMED_READY = 'kruntimes.io/RuntimedReady';
/** Finalizer of Runs with stored artifacts. */
export const ARTIFACT_FINALIZER = 'kruntimes.io/artifact-cleanup';
/** Annotation of a Run, `true`: its deletion leaves its artifacts where they are. */
export const ABANDON_KEY = 'kruntimes.io/abandon-artifacts';
/** Annotation of a pod that only removes artifacts: the store it does it in. Its Runtime label is empty. */
export const CLEANS_KEY = 'kruntimes.io/cleans-store';
/** Argument that makes runtimed the program of such a pod. */
export const CLEANUP_MODE = 'cleanup';
/** Name of the injected container. */
export const RUNTIMED_CONTAINER = 'runtimed';
/** Name the template's first container must have. */
export const RUNTIME_CONTAINER = 'runtime';
/** Volumes that are ours; user entries of the same name are replaced. */
export const WORKSPACE_VOLUME = 'workspace';
export const ARTIFACT_VOLUME = 'artifact-store';
/** runtimed's own records and log spools: mounted in its container alone, so that no Run can forge or read them. */
export const STATE_VOLUME = 'kruntimes-state';
/** Where both containers see the workspace. */
export const WORKSPACE_PATH = '/workspace';
/** Where runtimed sees its state. */
export const STATE_PATH = '/var/lib/kruntimes/state';
/** Audience of the token that runtimed proves its pod with. */
export const SESSION_AUDIENCE = 'kruntimes-sessions';
/** ServiceAccount of pods whose template names none, and name of the Role and RoleBinding for runtimed. */
export const RUNTIMED_ACCOUNT = 'kruntimes-runtimed';
/** Field manager of the operator's apply patches. */
export const FIELD_MANAGER = 'kruntimes-controller';
