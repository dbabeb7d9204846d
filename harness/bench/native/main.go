// The command native is the limit that the benchmarks compare a guest with: a
// plain net/http server that answers the same requests, with the client of the
// key-value provider.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/redis/go-redis/v9"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	store := flag.String("redis", "", "URL of a Redis server for /kv")
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "ok\n") //nolint:errcheck // the client's loss
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Write(body) //nolint:errcheck // the client's loss
	})
	if *store != "" {
		opts, err := redis.ParseURL(*store)
		if err != nil {
			log.Fatal(err)
		}
		mux.HandleFunc("GET /kv", get(redis.NewClient(opts)))
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("url=http://%s", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}

func get(client *redis.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := client.Get(r.Context(), "benchmark").Result()
		if err != nil && err != redis.Nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, value) //nolint:errcheck // the client's loss
	}
}
