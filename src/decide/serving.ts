/** Serving: does this pod take Runs, as far as we know? */
import type { PodRecord } from '../model/pod.js';
import type { World } from '../model/world.js';

/**
 * By its session; without one, by the kubelet's word, of which our own readiness gate is a part. An operator that starts
 * has no session yet, and takes no pod for broken because of that.
 */
export const isServing = (world: World, pod: PodRecord): boolean => {
  const session = world.sessions.get(pod.uid);
  return session ? session.healthy && !session.draining : pod.ready;
};
