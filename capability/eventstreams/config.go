package eventstreams

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
)

const (
	defaultPrefix      = "default"
	defaultConcurrency = 16

	// maxStreamID is the longest id of a stream, in bytes.
	maxStreamID = 256

	// duplicates is for how long the server looks for an event that comes twice.
	// None does, and JetStream wants at least this much.
	duplicates = 100 * time.Millisecond
)

// settings are a binding's configuration.
type settings struct {
	prefix      string
	subjects    []string // whose events are delivered
	durable     string   // the name of the consumer
	fromNew     bool
	concurrency int
	stream      jetstream.StreamConfig
	given       map[string]string
}

func readConfig(b capability.Binding) (*settings, error) {
	err := natsconn.Known(capability.EventStreams, b.Config, KeyURL, KeyDeliver, KeyFrom, KeyConcurrency, KeyPrefix,
		KeyStorage, KeyReplicas, KeyMaxAge, KeyMaxBytes, KeyClientJWT, KeyClientSeed)
	if err != nil {
		return nil, err
	}
	s := &settings{prefix: defaultPrefix, durable: durable(b.BindingID), given: b.Config}
	if prefix, ok := b.Config[KeyPrefix]; ok {
		if s.prefix = prefix; prefix == "" || len(prefix) > 64 || token(prefix) != prefix {
			return nil, natsconn.Invalid("the prefix %s must be of 1 to 64 letters, digits, \"_\" and \"-\"", natsconn.Quote(prefix))
		}
	}
	concurrency, err := natsconn.Number(b.Config, KeyConcurrency, defaultConcurrency, 1, 1024)
	if err != nil {
		return nil, err
	}
	s.concurrency = int(concurrency)
	switch from := b.Config[KeyFrom]; from {
	case "", "all":
	case "new":
		s.fromNew = true
	default:
		return nil, natsconn.Invalid("from is %s: give \"all\" or \"new\"", natsconn.Quote(from))
	}
	if err := s.readDeliver(); err != nil {
		return nil, err
	}
	return s, s.readStream()
}

// readDeliver reads which streams are delivered.
func (s *settings) readDeliver() error {
	list := natsconn.List(s.given, KeyDeliver)
	if len(list) == 1 && list[0] == "*" {
		s.subjects = []string{s.all()}
		return nil
	}
	seen := make(map[string]bool)
	for _, item := range list {
		id, err := url.PathUnescape(item)
		if err != nil {
			return natsconn.Invalid("deliver: %s has a \"%%\" that is followed by no two hexadecimal digits: write %%25 for a percent sign", natsconn.Quote(item))
		}
		if item == "*" {
			return natsconn.Invalid("deliver: \"*\" is all streams and stands alone; for the stream of that name write %%2A")
		}
		if err := checkStreamID(id); err != nil {
			return err
		}
		if subject := s.subject(id); !seen[subject] {
			seen[subject] = true
			s.subjects = append(s.subjects, subject)
		}
	}
	return nil
}

// readStream reads how events are kept.
func (s *settings) readStream() error {
	s.stream = jetstream.StreamConfig{
		Name: "WAXO_EVENTS_" + s.prefix, Subjects: []string{s.all()}, Description: "events of waxo guests",
		Storage: jetstream.FileStorage, Replicas: 1, MaxBytes: -1, Duplicates: duplicates,
	}
	switch storage := s.given[KeyStorage]; storage {
	case "", "file":
	case "memory":
		s.stream.Storage = jetstream.MemoryStorage
	default:
		return natsconn.Invalid("storage is %s: give \"file\" or \"memory\"", natsconn.Quote(storage))
	}
	replicas, err := natsconn.Number(s.given, KeyReplicas, 1, 1, 5)
	if err != nil {
		return err
	}
	if replicas%2 == 0 {
		return natsconn.Invalid("replicas is %d: give 1, 3 or 5, as a majority must be there to store an event", replicas)
	}
	s.stream.Replicas = int(replicas)
	if s.stream.MaxBytes, err = natsconn.Number(s.given, KeyMaxBytes, -1, 1, 1<<62); err != nil {
		return err
	}
	if text, ok := s.given[KeyMaxAge]; ok {
		s.stream.MaxAge, err = time.ParseDuration(text)
		if err != nil || s.stream.MaxAge < time.Second {
			return natsconn.Invalid("max_age is %s: give a duration of at least a second, such as 720h", natsconn.Quote(text))
		}
	}
	return nil
}

// merge changes what is there to what the binding asks for, and tells whether that
// changes anything. It is an error to ask for what cannot be changed.
func (s *settings) merge(there jetstream.StreamConfig) (_ jetstream.StreamConfig, changed bool, err error) {
	wanted := there
	if _, ok := s.given[KeyStorage]; ok && s.stream.Storage != there.Storage {
		return there, false, natsconn.Invalid("the events of the prefix %s are kept in a storage of another kind, which cannot be changed: use another prefix, or leave storage out", natsconn.Quote(s.prefix))
	}
	if _, ok := s.given[KeyReplicas]; ok {
		wanted.Replicas = s.stream.Replicas
	}
	if _, ok := s.given[KeyMaxBytes]; ok {
		wanted.MaxBytes = s.stream.MaxBytes
	}
	if _, ok := s.given[KeyMaxAge]; ok {
		wanted.MaxAge = s.stream.MaxAge
	}
	changed = wanted.Replicas != there.Replicas || wanted.MaxBytes != there.MaxBytes || wanted.MaxAge != there.MaxAge
	return wanted, changed, nil
}

// subject is where the events of a stream are stored. It starts with "$", because
// no guest with wascap:messaging may publish to such a one.
func (s *settings) subject(stream string) string {
	return "$WAXO.EVENTS." + s.prefix + "." + token(stream)
}

// all is the subject of the events of all streams.
func (s *settings) all() string { return "$WAXO.EVENTS." + s.prefix + ".*" }

func checkStreamID(id string) error {
	switch {
	case id == "":
		return natsconn.Invalid("the stream's id is empty")
	case len(id) > maxStreamID:
		return natsconn.Invalid("the stream's id has %d bytes, and may have %d", len(id), maxStreamID)
	case !utf8.ValidString(id):
		return natsconn.Invalid("the stream's id is not UTF-8 text")
	}
	return nil
}

// token writes any text as one word of a subject, and different texts as different
// words.
func token(text string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// durable names what the server remembers of a guest under a binding name. "=_"
// is in no token.
func durable(id capability.BindingID) string {
	name := token(id.Guest) + "=_" + token(id.Name)
	if len(name) <= 200 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}
