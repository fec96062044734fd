#!/usr/bin/env bash
# About: bpmn-engine 25.0.1 with bpmn-elements 17.3.0, a BPMN 2.0 workflow engine.
# Expected: An inclusive gateway that joins waits for every branch that the inclusive split before
#   it took, and goes on once.
# Seen: It goes on once for every branch that arrives: the task behind the join runs twice. A
#   parallel gateway in the same place joins.
# Meaning: The invoice behind a join of optional checks is sent once per check.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts bpmn-engine@25.0.1 bpmn-elements@17.3.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { Engine } from 'bpmn-engine'

const source = (gateway) => `<?xml version="1.0" encoding="UTF-8"?>
<definitions id="d" xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="http://example.com/bpmn">
  <process id="order" isExecutable="true">
    <startEvent id="start"/><${gateway} id="split"/><task id="checkCredit"/><task id="checkStock"/>
    <${gateway} id="join"/><task id="invoice"/><endEvent id="end"/>
    <sequenceFlow id="f0" sourceRef="start" targetRef="split"/>
    ${['checkCredit', 'checkStock']
      .map(
        (task) => `<sequenceFlow id="to-${task}" sourceRef="split" targetRef="${task}">
      ${gateway === 'inclusiveGateway' ? '<conditionExpression xsi:type="tFormalExpression">${true}</conditionExpression>' : ''}
    </sequenceFlow>
    <sequenceFlow id="from-${task}" sourceRef="${task}" targetRef="join"/>`,
      )
      .join('')}
    <sequenceFlow id="f5" sourceRef="join" targetRef="invoice"/>
    <sequenceFlow id="f6" sourceRef="invoice" targetRef="end"/>
  </process>
</definitions>`
const invoices = async (gateway) => {
  const entered = []
  const listener = new EventEmitter()
  listener.on('activity.enter', ({ id }) => entered.push(id))
  await new Promise((resolve, reject) => {
    new Engine({ name: gateway, source: source(gateway) }).execute({ listener }, (error) =>
      error ? reject(error) : resolve(),
    )
  })
  console.log(gateway.padEnd(17), entered.join(' '))
  return entered.filter((id) => id === 'invoice').length
}
assert.equal(await invoices('parallelGateway'), 1)
assert.equal(await invoices('inclusiveGateway'), 2)
JS
node run.js
