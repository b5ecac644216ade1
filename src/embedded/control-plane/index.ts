/** The local control plane as `krt up`, `krt down`, `krt status` and the choice of a cluster see it. */
export { type DetachOptions, detachControlPlane } from './detach.js';
export { defaultDataDir } from './folder.js';
export { splitImageFlag } from './image-flag.js';
export {
  ControlPlaneError,
  type ControlPlaneOptions,
  type RunningControlPlane,
  startControlPlane,
} from './start.js';
export {
  type ControlPlaneStatus,
  controlPlaneStatus,
  runningControlPlane,
  stopControlPlane,
} from './status.js';
