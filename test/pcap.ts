import { readFileSync } from "node:fs";

/** One recorded frame. */
export interface Frame {
  /** A view into the file, so its byteOffset is never 0. */
  readonly bytes: Uint8Array;
  /** Seconds since 1970. */
  readonly time: number;
}

const FILE_HEADER_LEN = 24;
const RECORD_HEADER_LEN = 16;
const MICROSECONDS = 0xa1b2_c3d4;
const NANOSECONDS = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET = 1;

/**
 * Reads a capture of Ethernet frames in the classic pcap format (draft-ietf-opsawg-pcap), of either byte order and
 * resolution. Throws when the file is anything else, ends within a record, or holds a frame that was cut when recorded.
 */
export function* readPcap(path: string): Generator<Frame> {
  const file = readFileSync(path);
  if (file.length < FILE_HEADER_LEN) throw new Error(`${path} is too short for a pcap file`);
  const little = file[0] !== 0xa1;
  const read32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const magic = read32(0);
  if (magic !== MICROSECONDS && magic !== NANOSECONDS) throw new Error(`${path} is not a pcap file`);
  const linkType = read32(20) & 0x0fff_ffff;
  if (linkType !== LINKTYPE_ETHERNET) throw new Error(`${path} holds frames of link type ${linkType}, not Ethernet`);

  for (let at = FILE_HEADER_LEN; at < file.length;) {
    if (file.length - at < RECORD_HEADER_LEN) throw new Error(`${path} ends within the record at ${at}`);
    const time = read32(at) + read32(at + 4) / (magic === NANOSECONDS ? 1e9 : 1e6);
    const length = read32(at + 8);
    const start = at + RECORD_HEADER_LEN;
    if (length > file.length - start) throw new Error(`${path} ends within the record at ${at}`);
    if (read32(at + 12) !== length) throw new Error(`${path} holds a frame cut to ${length} bytes at ${at}`);
    yield { bytes: file.subarray(start, start + length), time };
    at = start + length;
  }
}
