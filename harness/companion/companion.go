// Package companion reaches the program that runs containers for waxo.
//
// waxo itself links nothing of a container engine: that would slow each of its
// starts. It spawns waxo-containers, its companion, once a container is asked for,
// and speaks to it in lines of JSON over its standard input and output. The
// companion holds the containers; when its input ends, because waxo closed it or
// died in whatever way, it removes them and ends itself. It is not in waxo's
// process group, so that a Ctrl-C in the terminal reaches waxo alone. Should the
// companion be killed as well, the reaper that it started removes the containers
// some seconds later.
//
// The protocol is between programs of one version; the companion's first line says
// which, and another one is refused:
//
//	<- {"protocol":1}
//	-> {"id":1,"start":{"capability":"wascap:keyvalue"}}
//	<- {"id":1,"url":"redis://127.0.0.1:20815/0","name":"waxo-redis-0ff1ce00"}
//	-> {"id":2,"stop":"waxo-redis-0ff1ce00"}
//	<- {"id":2}
//
// An answer with an error has its text in "error", and in "noEngine" whether there
// is no container engine. {"cancel":1} gives up the request 1. Answers come in any
// order.
package companion

import "context"

// Program is the companion's name.
const Program = "waxo-containers"

// protocol is the version of what is spoken.
const protocol = 1

// Request asks for a service.
type Request struct {
	// Capability is what the service is for: wascap:keyvalue is served by a Redis,
	// wascap:messaging and wascap:eventstreams by a NATS server with JetStream,
	// wascap:blobstore by an S3 server.
	Capability string `json:"capability"`

	// Image is the image to run. Default: the one that is known to serve.
	Image string `json:"image,omitempty"`

	// Reuse is a key: a service of that kind and key that runs already is taken, and
	// what ends does not end it. Default: none.
	Reuse string `json:"reuse,omitempty"`
}

// Started is a service that runs.
type Started struct {
	URL  string `json:"url,omitempty"`  // what a provider takes as its url
	Name string `json:"name,omitempty"` // of its container
}

// Backend is what a companion does with requests. Methods but Close are called by
// several goroutines at once.
type Backend interface {
	// Start returns once the service answers. Errors that match ErrNoEngine say so
	// to the other side.
	Start(context.Context, Request) (Started, error)
	// Stop ends the service of that name, which Start gave.
	Stop(ctx context.Context, name string) error
	// Remove ends the services of a reuse key.
	Remove(ctx context.Context, reuse string) error
	// Close ends everything that Start started without a reuse key. No other method
	// is called meanwhile or after it.
	Close(context.Context) error
}

// message is a line of the protocol, of either direction.
type message struct {
	ID int64 `json:"id,omitempty"`

	// Of the client: one of these.
	Start  *Request `json:"start,omitempty"`
	Stop   string   `json:"stop,omitempty"`
	Remove string   `json:"remove,omitempty"`
	Cancel int64    `json:"cancel,omitempty"`

	// Of the companion.
	Protocol int `json:"protocol,omitempty"`
	Started
	Error    string `json:"error,omitempty"`
	NoEngine bool   `json:"noEngine,omitempty"`
}
