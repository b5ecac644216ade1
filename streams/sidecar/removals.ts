/** Removals: what became of the artifacts that the operator wants removed? A few at a time, each answered once. */
import { mergeMap, type Observable, type OperatorFunction } from 'rxjs';

import type { ArtifactsRemoved, RemoveArtifacts } from '../../src/proto/gen/session.js';

/** Removals of one pod at a time: a bound of its memory, whatever it is asked. */
export const REMOVALS = 4;

/** What is to be removed. */
export type Removal = RemoveArtifacts;

/** Answers each. */
export const answerRemovals = (
  remove: (removal: Removal) => Observable<ArtifactsRemoved>,
): OperatorFunction<Removal, ArtifactsRemoved> => mergeMap(remove, REMOVALS);
