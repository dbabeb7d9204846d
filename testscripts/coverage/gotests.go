package coverage

// goTests are tests of this repository's own host and guests, for rules that can be
// seen from inside alone. What a script, a conversation or a vector can check,
// belongs there: that is what others can run.
var goTests = []goTest{
	{"CAP-30", "devhost", "TestABindingIsItsOwnProvidersAlone", "how a host is told of several bindings is its own affair"},
	{"CAP-32", "devhost", "TestAChangedBindingThatFailsIsRestored", "how a host is told of its providers is its own affair"},
	{"CAP-44", "guest/go", "TestErrors", "what a guest makes of a text stays inside of it"},
	{"CAP-47", "capability/keyvalue", "TestServesAtOnceWhenTheServerIsBack", "the service behind a provider has to go away"},
	{"CAP-47", "harness", "TestRedisStops", "the service behind a provider has to go away"},
	{"CAP-47", "harness", "TestNATSLosesOne", "the service behind a provider has to go away"},
	{"HOST-13", "wapc", "TestGuestErrorTextIsBounded", "what a host keeps is not seen from outside"},
	{"HOST-13", "wapc", "TestConsoleLog", "what a host keeps is not seen from outside"},
	{"HOST-13", "wapc", "TestLogLinesWrapAround", "what a host keeps is not seen from outside"},
	{"HOST-19", "wapc", "TestHostContext", "that nobody waits any more, only the provider is told"},
	{"HOST-20", "wapc", "TestEndlessRecursion", "it takes a provider that has the guest called again"},
	{"HOST-20", "wapc", "TestRecursionThroughAnotherProcess", "it takes a provider that has the guest called again"},
	{"HOST-63", "devhost/admin", "TestLiveUpdateIsOffUnlessItIsWanted", "whether a host takes modules in is said where it is started"},
	{"HOST-49", "devhost", "TestNoGuestUpdatesItself", "it takes a provider that asks for an update"},
}
