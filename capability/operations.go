package capability

import (
	"fmt"
	"strings"
)

// The capabilities of the standard, and ours.
const (
	HTTPServer   = "wascap:http_server"
	HTTPClient   = "wascap:http_client"
	KeyValue     = "wascap:keyvalue"
	Messaging    = "wascap:messaging"
	Blobstore    = "wascap:blobstore"
	Logging      = "wascap:logging"
	Extras       = "wascap:extras"
	EventStreams = "wascap:eventstreams"
	Clock        = "waxo:clock"

	// Core is no capability: its operations need no claim.
	Core = "core"
)

// The operations, by their bare names. Generation.Spell gives their form on
// the wire.
const (
	OpHandleRequest = "HandleRequest" // HTTPServer, host to guest

	OpPerformRequest = "PerformRequest" // HTTPClient

	OpGet             = "Get" // KeyValue
	OpSet             = "Set"
	OpDel             = "Del"
	OpAdd             = "Add"
	OpPush            = "Push"
	OpRange           = "Range"
	OpListItemDelete  = "ListItemDelete"
	OpClear           = "Clear"
	OpSetAdd          = "SetAdd"
	OpSetRemove       = "SetRemove"
	OpSetQuery        = "SetQuery"
	OpSetUnion        = "SetUnion"
	OpSetIntersection = "SetIntersection"
	OpKeyExists       = "KeyExists"

	OpPublish        = "Publish" // Messaging
	OpRequest        = "Request"
	OpDeliverMessage = "DeliverMessage" // host to guest

	OpWriteEvent      = "WriteEvent" // EventStreams
	OpQueryStream     = "QueryStream"
	OpDeliverEvent    = "DeliverEvent"    // host to guest
	OpCreateContainer = "CreateContainer" // Blobstore
	OpRemoveContainer = "RemoveContainer"
	OpListObjects     = "ListObjects"
	OpRemoveObject    = "RemoveObject"
	OpGetObjectInfo   = "GetObjectInfo"
	OpStartUpload     = "StartUpload"
	OpUploadChunk     = "UploadChunk"
	OpStartDownload   = "StartDownload"
	OpReceiveChunk    = "ReceiveChunk" // host to guest

	OpWriteLog = "WriteLog" // Logging

	OpRequestGuid     = "RequestGuid" // Extras
	OpRequestSequence = "RequestSequence"
	OpRequestRandom   = "RequestRandom"

	OpNow = "Now" // Clock

	OpHealthRequest     = "HealthRequest" // Core, host to guest
	OpPerformLiveUpdate = "PerformLiveUpdate"
)

// Generation is a family of guests that spell operations alike.
type Generation int

const (
	// Waxosuit guests hold claims that start with "wascap:" and say
	// "<prefix>!<Operation>".
	Waxosuit Generation = iota
	// Wascc guests hold claims that start with "wascc:" and say the bare
	// operation.
	Wascc
)

// GenerationOf tells a guest's generation from the capabilities in its claims:
// Wascc if any starts with "wascc:", else Waxosuit.
func GenerationOf(capabilities []string) Generation {
	for _, c := range capabilities {
		if strings.HasPrefix(c, "wascc:") {
			return Wascc
		}
	}
	return Waxosuit
}

// prefixes are the spellings of the original codec that differ from the
// capability's name.
var prefixes = map[string]string{
	HTTPServer: "wascap:httpserver",
	HTTPClient: "wascap:httpclient",
	Core:       "wascap:httpsrv",
}

// Spell returns the operation in the form that a guest of this generation
// expects.
func (g Generation) Spell(capability, operation string) string {
	if g == Wascc {
		return operation
	}
	prefix, ok := prefixes[capability]
	if !ok {
		prefix = capability
	}
	return prefix + "!" + operation
}

// Resolve tells which capability and which bare operation a guest means by the
// namespace and the operation of a host call. The oldest call form has no
// namespace: there the operation carries it as its prefix. A prefix that
// contradicts the namespace is an error.
func Resolve(namespace, operation string) (capability, op string, err error) {
	prefix, op, prefixed := strings.Cut(operation, "!")
	if !prefixed {
		op = operation
	}
	switch {
	case namespace == "" && !prefixed:
		return "", "", &Error{Code: CodeInvalid, Message: fmt.Sprintf("the operation %q names no capability: write it as \"capability!Operation\"", operation)}
	case prefixed && prefix == "":
		return "", "", &Error{Code: CodeInvalid, Message: fmt.Sprintf("the operation %q names no capability before its \"!\"", operation)}
	case namespace == "":
		namespace = prefix
	case prefixed && canonical(prefix) != canonical(namespace):
		return "", "", &Error{Code: CodeInvalid, Message: fmt.Sprintf("the operation %q does not belong to the namespace %q", operation, namespace)}
	}
	if op == "" {
		return "", "", &Error{Code: CodeInvalid, Message: "the host call names no operation"}
	}
	return canonical(namespace), op, nil
}

// canonical maps the codec's spelling of a prefix to its capability.
func canonical(name string) string {
	for capability, prefix := range prefixes {
		if name == prefix {
			return capability
		}
	}
	return name
}
