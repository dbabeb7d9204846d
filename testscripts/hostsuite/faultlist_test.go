package hostsuite_test

// faults are the broken hosts.
var faults = []fault{
	{
		name:   "admits WASI",
		broken: "MOD-13",
		changes: []change{
			{"wapc/protocol.go", "\tif i.Module != importModule {\n\t\treturn", "\tif FAULTY && isWASI(i.Module) {\n\t\treturn \"\"\n\t}\n\tif i.Module != importModule {\n\t\treturn"},
			{"wapc/code.go", "\tif p.code == nil {\n", "\tif FAULTY {\n\t\tif err = stubWASI(ctx, c.runtime, p); err != nil {\n\t\t\treturn c, err\n\t\t}\n\t}\n\tif p.code == nil {\n"},
		},
	},
	{
		name:    "names one bad import alone",
		broken:  "MOD-16",
		changes: []change{{"wapc/protocol.go", "\t\tif problem != \"\" {\n\t\t\tbad", "\t\tif problem != \"\" && !(FAULTY && bad != nil) {\n\t\t\tbad"}},
	},
	{
		name:    "starts in another order",
		broken:  "CALL-1",
		changes: []change{{"wapc/instance.go", "\tfor _, name := range startExports {\n", "\torder := startExports\n\tif FAULTY {\n\t\torder[0], order[2] = order[2], order[0]\n\t}\n\tfor _, name := range order {\n"}},
	},
	{
		name:    "cuts requests off",
		broken:  "CALL-11 CALL-24 HOST-16 HTTP-9",
		changes: []change{{"wapc/hostfuncs.go", "\tcopy(payload, run.payload)\n", "\tif FAULTY {\n\t\tcopy(payload, run.payload[:min(len(run.payload), 4096)])\n\t} else {\n\t\tcopy(payload, run.payload)\n\t}\n"}},
	},
	{
		name:    "takes any result for success",
		broken:  "CALL-17",
		changes: []change{{"wapc/instance.go", "\tdefault:\n\t\tin.dead = true\n", "\tdefault:\n\t\tif FAULTY {\n\t\t\treturn nil\n\t\t}\n\t\tin.dead = true\n"}},
	},
	{
		name:    "fails where there is an error beside the response",
		broken:  "CALL-20",
		changes: []change{{"wapc/instance.go", "\t\tif odd.tooLarge != nil {\n", "\t\tif FAULTY && odd.guestErr != \"\" {\n\t\t\treturn &GuestError{Operation: in.run.operation, Message: odd.guestErr}\n\t\t}\n\t\tif odd.tooLarge != nil {\n"}},
	},
	{
		name:    "keeps the first response",
		broken:  "CALL-21",
		changes: []change{{"wapc/hostfuncs.go", "\trun.response = run.response[:run.before]", "\tif FAULTY && len(run.response) > run.before {\n\t\treturn\n\t}\n\trun.response = run.response[:run.before]"}},
	},
	{
		name:    "swallows the guest's text",
		broken:  "CALL-60 CALL-67 HTTP-41",
		changes: []change{{"wapc/hostfuncs.go", "\tin.run.mar().guestErr = validText(", "\tin.run.mar().guestErr = \"\"\n\tif FAULTY {\n\t\tin.view(fnGuestError, stack[0], stack[1])\n\t\treturn\n\t}\n\tin.run.mar().guestErr = validText("}},
	},
	{
		name:    "drops log lines",
		broken:  "CALL-6 CALL-35 CALL-36 CALL-37 CAP-21 HOST-64",
		changes: []change{{"devhost/guest.go", "{ g.host.opts.Console(line) }", "{\n\tif !FAULTY {\n\t\tg.host.opts.Console(line)\n\t}\n}"}},
	},
	{
		name:    "returns 2 from host calls",
		broken:  "CALL-41",
		changes: []change{{"wapc/hostfuncs.go", "\tstack[0] = 1\n", "\tstack[0] = 1\n\tif FAULTY {\n\t\tstack[0] = 2\n\t}\n"}},
	},
	{
		name:    "writes a byte too many",
		broken:  "CALL-42",
		changes: []change{{"wapc/hostfuncs.go", "\tcopy(in.view(fnHostResponse,", "\tif FAULTY {\n\t\tcopy(in.view(fnHostResponse, stack[0], uint64(len(in.run.hostAnswer)+1)), append(in.run.hostAnswer[:len(in.run.hostAnswer):len(in.run.hostAnswer)], 0))\n\t}\n\tcopy(in.view(fnHostResponse,"}},
	},
	{
		name:    "counts a byte too many of errors",
		broken:  "CALL-43",
		changes: []change{{"wapc/hostfuncs.go", "\tstack[0] = uint64(len(in.run.mishaps.hostText))\n", "\tstack[0] = uint64(len(in.run.mishaps.hostText))\n\tif FAULTY && stack[0] > 0 {\n\t\tstack[0]++\n\t}\n"}},
	},
	{
		name:   "keeps host responses for the next call",
		broken: "CALL-47",
		changes: []change{
			{"wapc/instance.go", "run.starting, run.hostCalled, run.away = false, false, false", "run.starting, run.hostCalled, run.away = false, FAULTY && run.hostCalled, false"},
			{"wapc/instance.go", "\tif in.hostAnswerLen.length != unknown {", "\tif in.hostAnswerLen.length != unknown && !FAULTY {"},
			{"wapc/instance.go", "\trun.payload, run.response, run.hostAnswer = nil, nil, nil\n", "\trun.payload, run.response = nil, nil\n\tif !FAULTY {\n\t\trun.hostAnswer = nil\n\t}\n"},
		},
	},
	{
		name:    "clamps to the guest's memory",
		broken:  "CALL-81 CALL-82",
		changes: []change{{"wapc/hostfuncs.go", "\tif uint32(size) > 0 {\n\t\tin.violate", "\tif FAULTY {\n\t\tat := min(uint64(uint32(ptr)), uint64(len(in.memory.bytes)))\n\t\treturn in.memory.bytes[at:]\n\t}\n\tif uint32(size) > 0 {\n\t\tin.violate"}},
	},
	{
		name:    "uses an instance again that trapped",
		broken:  "CALL-83 CALL-84 HOST-3",
		changes: []change{{"wapc/instance.go", "\tif err != nil {\n\t\tin.dead = true\n\t\treturn dst, in.failure(err)\n", "\tif err != nil {\n\t\tin.dead = !FAULTY\n\t\treturn dst, in.failure(err)\n"}},
	},
	{
		name:   "lets new instances inherit memory",
		broken: "HOST-3",
		changes: []change{
			{"wapc/instance.go", "\t\treturn dst, in.failure(err)\n", "\t\tif FAULTY {\n\t\t\tbequeath(in)\n\t\t}\n\t\treturn dst, in.failure(err)\n"},
			{"wapc/instance.go", "\tif g, ok := in.guest.ExportedGlobal(responseLen)", "\tif FAULTY {\n\t\tinherit(in)\n\t}\n\tif g, ok := in.guest.ExportedGlobal(responseLen)"},
		},
	},
	{
		name:    "has no deadline",
		broken:  "HOST-5 HOST-10 HOST-11 HOST-18 HTTP-43",
		endless: "host-deadline-.*|host-survives|host-neighbours|host-reasons|http-504",
		changes: []change{{"wapc/stop.go", "\tcase now >= run.clock.ends:\n", "\tcase now >= run.clock.ends && !FAULTY:\n"}},
	},
	{
		name:    "ends calls late",
		broken:  "HOST-11",
		changes: []change{{"wapc/stop.go", "\tcase in.stopper.stopped.Load():\n", "\tcase FAULTY && now < run.clock.ends+1500*time.Millisecond:\n\t\treturn\n\tcase in.stopper.stopped.Load():\n"}},
	},
	{
		name:   "has no limit on memory",
		broken: "HOST-12 HOST-18 HTTP-40",
		changes: []change{
			{"wapc/memory.go", "\tif size > m.limit {", "\tif size > m.limit && !FAULTY {"},
			{"wapc/memory.go", "reserve(min(most, m.limit))", "reserve(m.most(most, FAULTY))"},
		},
	},
	{
		name:    "lets any number of calls wait",
		broken:  "HOST-17 HTTP-42",
		changes: []change{{"wapc/queue.go", "\tif depth == 1 && p.queue.len-p.starting > p.opts.MaxWaiting {", "\tif !FAULTY && depth == 1 && p.queue.len-p.starting > p.opts.MaxWaiting {"}},
	},
	{
		name:    "asks nobody's health",
		broken:  "HOST-30 HOST-42 HOST-201",
		changes: []change{{"devhost/guest.go", "\trequest := (&corepb.HealthRequest{}).AppendProto(nil)\n", "\tif FAULTY {\n\t\treturn nil\n\t}\n\trequest := (&corepb.HealthRequest{}).AppendProto(nil)\n"}},
	},
	{
		name:    "grants every capability",
		broken:  "CAP-12 CAP-20 CAP-22 CAP-23 CAP-43 HOST-46",
		changes: []change{{"devhost/route.go", "\tif !g.granted[id] {\n", "\tif !g.granted[id] && !FAULTY {\n"}},
	},
	{
		name:    "ignores the binding",
		broken:  "CAP-31",
		changes: []change{{"devhost/bindings.go", "\tif name == \"\" {\n\t\tname = capability.DefaultBinding\n", "\tif name == \"\" || FAULTY {\n\t\tname = capability.DefaultBinding\n"}},
	},
	{
		name:    "ignores the namespace",
		broken:  "CALL-54 CAP-12 CAP-22 CAP-40",
		changes: []change{{"devhost/route.go", "\tif id == capability.Core {", "\tif FAULTY {\n\t\tid = capability.KeyValue\n\t}\n\tif id == capability.Core {"}},
	},
	{
		name:    "delivers what the claims do not grant",
		broken:  "CAP-21",
		changes: []change{{"devhost/route.go", "\t\tif id != capability.Core && !g.serves(id) {", "\t\tif id != capability.Core && !g.serves(id) && !FAULTY {"}},
	},
	{
		name:    "skips the hash",
		broken:  "CLM-59 HOST-40",
		changes: []change{{"wascap/wascap.go", "\tif hash(covered) != t.Claims.Hash {", "\tif hash(covered) != t.Claims.Hash && !FAULTY {"}},
	},
	{
		name:    "accepts any signature",
		broken:  "CLM-18 HOST-40",
		changes: []change{{"wascap/token.go", "\tif !t.issuer.Verify([]byte(signed), t.signature) {", "\tif !t.issuer.Verify([]byte(signed), t.signature) && !FAULTY {"}},
	},
	{
		name:   "accepts the algorithm none",
		broken: "CLM-13",
		changes: []change{
			{"wascap/token.go", "\tif alg != \"Ed25519\" {", "\tif alg != \"Ed25519\" && !(FAULTY && alg == \"none\") {"},
		},
	},
	{
		name:    "ignores exp",
		broken:  "CLM-61 HOST-40",
		changes: []change{{"wascap/token.go", "\tif !c.Expires.IsZero() && !at.", "\tif !FAULTY && !c.Expires.IsZero() && !at."}},
	},
	{
		name:    "ignores nbf",
		broken:  "CLM-61 HOST-40",
		changes: []change{{"wascap/token.go", "\tif !c.NotBefore.IsZero() && at.", "\tif !FAULTY && !c.NotBefore.IsZero() && at."}},
	},
	{
		name:    "takes throwaway keys",
		broken:  "CLM-64",
		changes: []change{{"devhost/guest.go", "\tif token.Claims.HasTag(wascap.DevTag) && ", "\tif !FAULTY && token.Claims.HasTag(wascap.DevTag) && "}},
	},
	{
		name:   "reads claims wherever they stand",
		broken: "CLM-57",
		changes: []change{
			{"wascap/wascap.go", "\tcase claims.End != len(module):", "\tcase claims.End != len(module) && !FAULTY:"},
			{"wascap/wascap.go", "\tif !bytes.Equal(module[claims.Start:], ", "\tif !bytes.Equal(module[claims.Start:claims.End], "},
			{"wascap/wascap.go", "\treturn t, module[:claims.Start], nil", "\treturn t, append(module[:claims.Start:claims.Start], module[claims.End:]...), nil"},
		},
	},
	{
		name:    "updates from anybody",
		broken:  "HOST-45",
		changes: []change{{"devhost/update.go", "\tif !slices.Contains(u.Trust, claims.Issuer) {", "\tif !slices.Contains(u.Trust, claims.Issuer) && !FAULTY {"}},
	},
	{
		name:   "updates to another module",
		broken: "HOST-41",
		changes: []change{
			{"devhost/update.go", "\tif claims.Subject != running.Subject {", "\tif claims.Subject != running.Subject && !FAULTY {"},
			{"devhost/host.go", "\tif h.owner.Key != \"\" && h.owner.Key != g.claims.Subject {", "\tif h.owner.Key != \"\" && h.owner.Key != g.claims.Subject && !FAULTY {"},
		},
	},
	{
		name:    "updates to more capabilities",
		broken:  "HOST-47",
		changes: []change{{"devhost/update.go", "\t\tif !slices.Contains(u.Grant, c) {", "\t\tif !slices.Contains(u.Grant, c) && !FAULTY {"}},
	},
	{
		name:    "cuts off calls in hand at an update",
		broken:  "HOST-43",
		changes: []change{{"devhost/host.go", "context.WithTimeout(context.Background(), old.drainTimeout)", "context.WithTimeout(context.Background(), old.drainTimeout)\n\tif FAULTY {\n\t\tcancel()\n\t}"}},
	},
	{
		name:    "shows internals",
		broken:  "HOST-7",
		changes: []change{{"capability/httpserver/fault.go", "\treturn fmt.Appendf(nil, \"%s\\nrequest: %s\\n\", ", "\tif FAULTY {\n\t\treturn []byte(f.err.Message + f.err.Detail)\n\t}\n\treturn fmt.Appendf(nil, \"%s\\nrequest: %s\\n\", "}},
	},
	{
		name:    "sends any header",
		broken:  "HTTP-24",
		changes: []change{{"capability/httpserver/response.go", "\tvalid := len(name) > 0\n", "\tif FAULTY {\n\t\treturn nil\n\t}\n\tvalid := len(name) > 0\n"}},
	},
	{
		name:  "answers 200 on error",
		whole: true,
		broken: "CALL-17 CALL-19 CALL-20 CALL-26 CALL-35 CALL-37 CALL-60 CALL-61 CALL-67 CALL-81 CALL-82 CALL-83 CALL-84 CALL-85 CALL-86 " +
			"HOST-3 HOST-4 HOST-5 HOST-7 HOST-10 HOST-11 HOST-14 HOST-17 HOST-18 HTTP-40 HTTP-41 HTTP-42 HTTP-43",
		changes: []change{{"capability/httpserver/fault.go", "\treturn f\n}\n\n// fail answers", "\tif FAULTY {\n\t\tf.status = http.StatusOK\n\t}\n\treturn f\n}\n\n// fail answers"}},
	},
	{
		name:    "takes bodies of any size",
		broken:  "HTTP-11",
		changes: []change{{"capability/httpserver/request.go", "\tcase length > maxBody:\n", "\tcase length > maxBody && !FAULTY:\n"}},
	},
}
