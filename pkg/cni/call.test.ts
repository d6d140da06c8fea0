import { expect, test } from "vitest";
import { type Environment, parseCall } from "./call.ts";
import { CODE, CniError } from "./error.ts";

const ADD = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/c1",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/opt/cni/bin:/usr/lib/cni",
};

function refusal(env: Environment): CniError {
  try {
    parseCall(env);
  } catch (error) {
    if (error instanceof CniError) return error;
  }
  throw new Error("the environment was accepted");
}

test("a complete environment is read", () => {
  expect(parseCall(ADD)).toMatchObject({
    verb: "ADD",
    containerId: "c1",
    netns: "/run/netns/c1",
    ifname: "eth0",
    path: ["/opt/cni/bin", "/usr/lib/cni"],
  });
});

test("a DEL may come without a namespace, and with an empty one", () => {
  expect(parseCall({ ...ADD, CNI_COMMAND: "DEL", CNI_NETNS: undefined }).netns).toBe("");
  expect(parseCall({ ...ADD, CNI_COMMAND: "DEL", CNI_NETNS: "" }).netns).toBe("");
});

test("VERSION needs nothing else, STATUS and GC only the path", () => {
  expect(parseCall({ CNI_COMMAND: "VERSION" }).verb).toBe("VERSION");
  expect(parseCall({ CNI_COMMAND: "STATUS", CNI_PATH: "/x" }).verb).toBe("STATUS");
  expect(parseCall({ CNI_COMMAND: "GC", CNI_PATH: "/x" }).verb).toBe("GC");
});

const refused = [
  {
    name: "nothing at all: every variable is named",
    env: {},
    says: /^CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH not set; twill-cni is a CNI plugin/,
  },
  { name: "an unknown verb", env: { ...ADD, CNI_COMMAND: "PATCH" }, says: /CNI_COMMAND is "PATCH"; .*ADD, DEL, CHECK/ },
  { name: "lower case", env: { ...ADD, CNI_COMMAND: "add" }, says: /CNI_COMMAND is "add"/ },
  {
    name: "ADD without namespace and interface",
    env: { ...ADD, CNI_NETNS: "", CNI_IFNAME: "" },
    says: /^CNI_NETNS, CNI_IFNAME not set/,
  },
  { name: "CHECK without namespace", env: { ...ADD, CNI_COMMAND: "CHECK", CNI_NETNS: "" }, says: /^CNI_NETNS not set/ },
  { name: "GC without path", env: { CNI_COMMAND: "GC" }, says: /^CNI_PATH not set/ },
  {
    name: "a container ID that climbs",
    env: { ...ADD, CNI_CONTAINERID: "../../etc/x" },
    says: /CNI_CONTAINERID is "\.\.\/\.\./,
  },
  { name: "a container ID that starts with a dot", env: { ...ADD, CNI_CONTAINERID: "..x" }, says: /CNI_CONTAINERID/ },
  { name: "a container ID with a newline", env: { ...ADD, CNI_CONTAINERID: "a\n" }, says: /CNI_CONTAINERID/ },
  { name: "an interface name with a slash", env: { ...ADD, CNI_IFNAME: "a/b" }, says: /CNI_IFNAME is "a\/b"/ },
  { name: "an interface name of 16 characters", env: { ...ADD, CNI_IFNAME: "e".repeat(16) }, says: /CNI_IFNAME/ },
  { name: "an interface named ..", env: { ...ADD, CNI_IFNAME: ".." }, says: /CNI_IFNAME/ },
  {
    name: "two at once",
    env: { ...ADD, CNI_CONTAINERID: "/", CNI_IFNAME: ":" },
    says: /CNI_CONTAINERID.*; CNI_IFNAME/,
  },
];
for (const c of refused) {
  test(`refused with code 4: ${c.name}`, () => {
    const error = refusal(c.env);
    expect(error.code).toBe(CODE.badEnvironment);
    expect(error.message).toMatch(c.says);
  });
}
