// apache-arrow decodes metadata as it finds it: where the length of a vector is damaged, it would go through
// billions of elements. No vector has more elements than its buffer has bytes behind it.

import { ByteBuffer } from 'flatbuffers';

const lengthOf = ByteBuffer.prototype.__vector_len;

ByteBuffer.prototype.__vector_len = function boundedLength(
  this: ByteBuffer,
  offset: number,
): number {
  const length = lengthOf.call(this, offset);
  if (length < 0 || this.__vector(offset) + length > this.capacity()) {
    throw new RangeError('a vector lies outside its metadata');
  }
  return length;
};
