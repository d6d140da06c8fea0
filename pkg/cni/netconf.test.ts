import { expect, test } from "vitest";
import { CODE, CniError } from "./error.ts";
import { parseNetConf, versionOf } from "./netconf.ts";

function refusal(text: string): CniError {
  try {
    parseNetConf(text);
  } catch (error) {
    if (error instanceof CniError) return error;
  }
  throw new Error("the netconf was accepted");
}

test("flannel's netconf needs no more than another type", () => {
  const conf = parseNetConf(
    JSON.stringify({
      name: "cbr0",
      cniVersion: "0.3.1",
      type: "twill",
      delegate: { hairpinMode: true, isDefaultGateway: true },
    }),
  );
  expect(conf).toEqual({
    name: "cbr0",
    cniVersion: "0.3.1",
    subnetFile: "/run/flannel/subnet.env",
    dataDir: "/var/lib/cni/twill",
    runDir: "/run/twill",
    delegate: { hairpinMode: true, isDefaultGateway: true },
    ipam: {},
    runtimeConfig: undefined,
    prevResult: undefined,
    validAttachments: undefined,
  });
});

test("null and the empty string mean the default, as for Go", () => {
  const conf = parseNetConf(
    '{"name":"n","cniVersion":null,"subnetFile":"","dataDir":null,"delegate":null,"ipam":null}',
  );
  expect(conf).toMatchObject({ cniVersion: "", subnetFile: "/run/flannel/subnet.env", delegate: {}, ipam: {} });
});

test("the attachments that GC keeps are read", () => {
  const text = '{"name":"n","cniVersion":"1.1.0","cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}]}';
  expect(parseNetConf(text).validAttachments).toEqual([{ containerId: "c1", ifname: "eth0" }]);
});

test.each([
  ["null, as libcni writes none", { "cni.dev/valid-attachments": null }, []],
  ["an empty list", { "cni.dev/valid-attachments": [] }, []],
  ["no list", {}, undefined],
])("the attachments that GC keeps: %s", (_, conf, expected) => {
  expect(parseNetConf(JSON.stringify({ name: "n", ...conf })).validAttachments).toEqual(expected);
});

const refused = [
  { name: "nothing", text: "  \n", code: CODE.decode, says: /standard input is empty/ },
  { name: "half a netconf", text: '{"name":', code: CODE.decode, says: /is not JSON: / },
  { name: "a list", text: "[]", code: CODE.decode, says: /not a JSON object/ },
  {
    name: "an unknown version",
    text: '{"name":"n","cniVersion":"9.0.0"}',
    code: CODE.incompatibleVersion,
    says: /"9\.0\.0".*1\.1\.0/,
  },
  {
    name: "a version that is a number",
    text: '{"name":"n","cniVersion":1}',
    code: CODE.incompatibleVersion,
    says: /cniVersion 1;/,
  },
  { name: "no name", text: "{}", code: CODE.badConfig, says: /has no "name"/ },
  { name: "a name that climbs", text: '{"name":"../x"}', code: CODE.badConfig, says: /"name" is "\.\.\/x"/ },
  { name: "a name that is an object", text: '{"name":{}}', code: CODE.badConfig, says: /"name" is \{\}/ },
  {
    name: "a delegate that is a list",
    text: '{"name":"n","delegate":[]}',
    code: CODE.badConfig,
    says: /"delegate" is \[\], not an object/,
  },
  {
    name: "an attachment that climbs",
    text: '{"name":"n","cni.dev/valid-attachments":[{"containerID":"../x","ifname":"e"}]}',
    code: CODE.badConfig,
    says: /valid-attachments/,
  },
  {
    name: "attachments that are no list",
    text: '{"name":"n","cni.dev/valid-attachments":"all"}',
    code: CODE.badConfig,
    says: /valid-attachments/,
  },
  {
    name: "several things at once",
    text: '{"ipam":1,"subnetFile":2}',
    code: CODE.badConfig,
    says: /"name"; .*"subnetFile" is 2, not a path; .*"ipam" is 1/,
  },
  {
    name: "a relative path",
    text: '{"name":"n","cniVersion":"1.0.0","subnetFile":"run/subnet.env"}',
    code: CODE.badConfig,
    says: /"subnetFile" is "run\/subnet.env", not an absolute path/,
  },
];
for (const c of refused) {
  test(`refused with code ${c.code}: ${c.name}`, () => {
    const error = refusal(c.text);
    expect(error.code).toBe(c.code);
    expect(error.message).toMatch(c.says);
  });
}

test("the version of an answer is the netconf's, where it has a known one", () => {
  expect(versionOf('{"cniVersion":"0.4.0"}')).toBe("0.4.0");
  expect(versionOf('{"cniVersion":"7.0.0"}')).toBeUndefined();
  expect(versionOf("{")).toBeUndefined();
});
