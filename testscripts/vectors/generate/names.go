package main

import "github.com/waxosuit/waxo/testscripts/vectors"

func spellVectors() []vectors.Spell {
	var list []vectors.Spell
	add := func(name, rules string, claims []string, capability, operation, spelling string) {
		list = append(list, vectors.Spell{Vector: vector(name, rules), Claims: claims, Capability: capability, Operation: operation, Spelling: spelling})
	}
	waxosuit, wascc := []string{"wascap:http_server", "wascap:messaging", "wascap:eventstreams", "wascap:blobstore", "vendor:queue"}, []string{"vendor:queue", "wascc:http_server"}
	add("waxosuit: HTTP", "CAP-10", waxosuit, "wascap:http_server", "HandleRequest", "wascap:httpserver!HandleRequest")
	add("waxosuit: health", "CAP-10", waxosuit, "core", "HealthRequest", "wascap:httpsrv!HealthRequest")
	add("waxosuit: a message", "CAP-10", waxosuit, "wascap:messaging", "DeliverMessage", "wascap:messaging!DeliverMessage")
	add("waxosuit: an event", "CAP-10", waxosuit, "wascap:eventstreams", "DeliverEvent", "wascap:eventstreams!DeliverEvent")
	add("waxosuit: a chunk", "CAP-10", waxosuit, "wascap:blobstore", "ReceiveChunk", "wascap:blobstore!ReceiveChunk")
	add("waxosuit: a vendor's", "CAP-10", waxosuit, "vendor:queue", "Deliver", "vendor:queue!Deliver")
	add("wascc: HTTP", "CAP-10", wascc, "wascc:http_server", "HandleRequest", "HandleRequest")
	add("wascc: health", "CAP-10", wascc, "core", "HealthRequest", "HealthRequest")
	add("wascc: a vendor's", "CAP-10", wascc, "vendor:queue", "Deliver", "Deliver")
	add("no claims", "CAP-10", []string{}, "core", "HealthRequest", "wascap:httpsrv!HealthRequest")
	add("a claim that only holds the word", "CAP-10", []string{"vendor:wascc:x"}, "core", "HealthRequest", "wascap:httpsrv!HealthRequest")
	return list
}

func resolveVectors() []vectors.Resolve {
	var list []vectors.Resolve
	good := func(name, rules, namespace, called, capability, operation string) {
		list = append(list, vectors.Resolve{Vector: vector(name, rules), Namespace: namespace, Called: called, Result: ok, Capability: capability, Operation: operation})
	}
	bad := func(name, rules, namespace, called string) {
		list = append(list, vectors.Resolve{Vector: vector(name, rules), Namespace: namespace, Called: called, Result: vectors.ResultInvalid})
	}
	good("bare", "CAP-11", "wascap:keyvalue", "Get", "wascap:keyvalue", "Get")
	good("with its prefix", "CAP-11", "wascap:keyvalue", "wascap:keyvalue!Get", "wascap:keyvalue", "Get")
	good("without a namespace", "CALL-34", "", "wascap:keyvalue!Get", "wascap:keyvalue", "Get")
	good("the prefix of the HTTP client", "CAP-12", "wascap:http_client", "wascap:httpclient!PerformRequest", "wascap:http_client", "PerformRequest")
	good("the prefix of the HTTP client alone", "CAP-12 CALL-34", "", "wascap:httpclient!PerformRequest", "wascap:http_client", "PerformRequest")
	good("the prefix of the HTTP client as the namespace", "CAP-12", "wascap:httpclient", "PerformRequest", "wascap:http_client", "PerformRequest")
	good("the capability's name as the prefix", "CAP-12", "wascap:httpclient", "wascap:http_client!PerformRequest", "wascap:http_client", "PerformRequest")
	good("the prefix of the HTTP server", "CAP-12", "", "wascap:httpserver!HandleRequest", "wascap:http_server", "HandleRequest")
	good("the prefix of core", "CAP-12", "", "wascap:httpsrv!PerformLiveUpdate", "core", "PerformLiveUpdate")
	good("of the wascc generation", "CAP-11 CAP-22", "wascc:keyvalue", "Get", "wascc:keyvalue", "Get")
	good("a vendor's", "CAP-5 CAP-11", "vendor:queue", "Push", "vendor:queue", "Push")
	good("a vendor's with its prefix", "CAP-5 CAP-11", "", "vendor:queue!Push", "vendor:queue", "Push")
	good("a second exclamation mark", "CALL-34", "", "vendor:queue!Push!Now", "vendor:queue", "Push!Now")
	good("case counts", "CAP-22", "WASCAP:keyvalue", "Get", "WASCAP:keyvalue", "Get")
	bad("a prefix that contradicts", "CAP-13", "wascap:keyvalue", "wascap:messaging!Publish")
	bad("a prefix of the other generation", "CAP-13 CAP-22", "wascc:keyvalue", "wascap:keyvalue!Get")
	bad("client and server", "CAP-13", "wascap:http_server", "wascap:httpclient!PerformRequest")
	bad("no capability", "CAP-14", "", "Get")
	bad("nothing", "CAP-14", "", "")
	bad("an empty prefix", "CAP-14", "", "!Get")
	bad("an empty prefix beside a namespace", "CAP-13", "wascap:keyvalue", "!Get")
	bad("no operation", "CAP-15", "wascap:keyvalue", "")
	bad("no operation after the prefix", "CAP-15", "", "wascap:keyvalue!")
	bad("no operation after prefix and namespace", "CAP-15", "wascap:keyvalue", "wascap:keyvalue!")
	return list
}
