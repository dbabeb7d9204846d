// A guest that greets: with a page for people, and a small JSON API.
package main

import (
	"encoding/json"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/log"
)

// The host initialises a guest and then calls its handlers; main never runs.
func init() {
	var r http.Router
	r.Handle("GET /", showForm)
	r.Handle("POST /", greetForm)
	r.Handle("GET /api/greetings/{language}", getGreeting)
	r.Handle("POST /api/greetings", postGreeting)
	http.Handle(logged(r.Serve))
}

func main() {}

// logged writes each request and its status to the log.
func logged(next http.Handler) http.Handler {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := next(r)
		if err != nil {
			log.Error(r.Method + " " + r.Path + ": " + err.Error())
			return nil, err
		}
		log.Info(r.Method + " " + r.Path + ": " + strconv.Itoa(resp.Status))
		return resp, nil
	}
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Greetings</title>
<form method="post">
  <label>Your name <input name="name" required maxlength="50"></label>
  <button>Greet</button>
</form>
<p>{greeting}</p>
</html>
`

func showForm(*http.Request) (*http.Response, error) {
	return http.HTML(200, strings.Replace(page, "{greeting}", "", 1)), nil
}

func greetForm(r *http.Request) (*http.Response, error) {
	form, err := r.Form()
	if err != nil {
		return http.Text(400, "this is not the form\n"), nil
	}
	status, text := 200, ""
	name := strings.TrimSpace(form.Get("name"))
	if problem := checkName(name); problem != "" {
		status, text = 422, problem
	} else {
		text, _ = greet("en", name)
	}
	// What a visitor sent is escaped before it becomes part of a page.
	return http.HTML(status, strings.Replace(page, "{greeting}", html.EscapeString(text), 1)), nil
}

// greeting is the body of requests and responses of the API.
type greeting struct {
	Language string `json:"language"`
	Name     string `json:"name"`
	Text     string `json:"text,omitempty"` // in responses
}

func getGreeting(r *http.Request) (*http.Response, error) {
	return answer(greeting{Language: r.PathValue("language"), Name: r.Query().Get("name")})
}

func postGreeting(r *http.Request) (*http.Response, error) {
	var g greeting
	if err := json.Unmarshal(r.Body, &g); err != nil {
		return problem(400, "the body is not the JSON of a greeting: "+err.Error())
	}
	return answer(g)
}

// answer checks what was asked for and greets.
func answer(g greeting) (*http.Response, error) {
	if p := checkName(g.Name); p != "" {
		return problem(422, p)
	}
	text, ok := greet(g.Language, g.Name)
	if !ok {
		return problem(404, "there is no greeting in the language "+g.Language)
	}
	g.Text = text
	return encode(200, g)
}

func checkName(name string) string {
	switch {
	case strings.TrimSpace(name) == "":
		return "the name is missing"
	case utf8.RuneCountInString(name) > 50:
		return "the name is longer than 50 characters"
	}
	return ""
}

func greet(language, name string) (text string, ok bool) {
	words := map[string]string{"de": "Hallo", "en": "Hello", "fr": "Bonjour"}
	word, ok := words[language]
	return word + ", " + name + "!", ok
}

// problem answers with what the client did wrong.
func problem(status int, text string) (*http.Response, error) {
	return encode(status, map[string]string{"error": text})
}

func encode(status int, v any) (*http.Response, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return http.JSON(status, append(body, '\n')), nil
}
