package capability

//go:generate go run ./internal/protogen
//go:generate go run ./internal/protogen -out ../guest/go/internal -wire github.com/waxosuit/waxo/guest/go/internal/wire -copy payload/wire blobstore.proto clock.proto eventstream.proto extras.proto http.proto keyvalue.proto logging.proto messaging.proto
