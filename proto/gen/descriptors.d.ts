/** Of each package a FileDescriptorProto, in base64. */
export const FILE_DESCRIPTORS: readonly string[];
