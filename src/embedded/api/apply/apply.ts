/** Server-side apply. */
import { ApiError } from '../errors.js';
import type { Json } from '../json.js';
import type { Answer, Call } from '../verbs/call.js';

export const applyObject = (_call: Call, _patch: Json): Answer => {
  throw new ApiError(415, 'UnsupportedMediaType', 'apply is not there yet');
};
