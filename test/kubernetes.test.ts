// deploy/kubernetes/twill.yaml against Kubernetes' own schemas, and against what twilld takes.

import { readFileSync } from "node:fs";
import { DaemonSet, type IDaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import { ConfigMap, type IConfigMap } from "kubernetes-models/v1/ConfigMap";
import { type INamespace, Namespace } from "kubernetes-models/v1/Namespace";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { parseArgs } from "../pkg/agent/flags.ts";
import { CONFLIST_NAME, conflistText } from "../pkg/cni/conflist.ts";

const documents = parseAllDocuments(readFileSync("deploy/kubernetes/twill.yaml", "utf8"));
const [namespace, configMap, daemonSet] = documents.map((document) => {
  expect(document.errors).toEqual([]);
  return document.toJS() as unknown;
}) as [INamespace, IConfigMap, IDaemonSet];
const pod = daemonSet.spec?.template.spec;
const twilld = pod?.containers[0];

test("it fits the schemas", () => {
  expect(documents).toHaveLength(3);
  new Namespace(namespace).validate();
  new ConfigMap(configMap).validate();
  new DaemonSet(daemonSet).validate();
});

test("the schemas would tell", () => {
  const broken = structuredClone(daemonSet) as { spec: { template: { spec: { hostNetwork: unknown } } } };
  broken.spec.template.spec.hostNetwork = "yes";
  expect(() => new DaemonSet(broken as unknown as IDaemonSet).validate()).toThrow(/hostNetwork/);
});

test("twilld takes its arguments and environment, with etcd's endpoints from the secret", () => {
  const env = Object.fromEntries((twilld?.env ?? []).map(({ name, value }) => [name, value ?? "given"]));
  env["TWILLD_ETCD_ENDPOINTS"] = "https://192.0.2.10:2379";
  expect(parseArgs(twilld?.args ?? [], env)).toMatchObject({ kind: "run", warnings: [] });
  const endpoints = twilld?.env?.find(({ name }) => name === "TWILLD_ETCD_ENDPOINTS");
  expect(endpoints?.valueFrom?.secretKeyRef).toEqual({ name: "twill-etcd", key: "endpoints" });
});

test("every mount has its volume, and every volume is used", () => {
  const containers = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
  const mounted = new Set(containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)));
  expect([...mounted].toSorted()).toEqual(pod?.volumes?.map(({ name }) => name).toSorted());
});

test("its network is the one that we ship", () => expect(configMap.data).toEqual({ [CONFLIST_NAME]: conflistText() }));

test("the agent has two capabilities and no more", () => {
  expect(twilld?.securityContext?.capabilities).toEqual({ drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"] });
  expect(pod?.containers.some(({ securityContext }) => securityContext?.privileged)).toBe(false);
});
