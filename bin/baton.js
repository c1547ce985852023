#!/usr/bin/env node
// Plain, old JavaScript without static imports: this file must be able to say that Node is too old for the rest.
var version = process.versions.node.split('.').map(Number);
if (version[0] < 20 || (version[0] === 20 && version[1] < 16)) {
  console.error('baton needs Node 20.16 or newer; this is ' + process.version);
  process.exit(1);
}
void import('./run.js');
