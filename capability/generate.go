package capability

//go:generate go run ./internal/protogen
