// The server of Go's standard library, HTTP/1.1 and HTTP/2 without TLS: it reads each request to its end and answers.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	handler := http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		response.Header().Set("content-type", "application/json")
		io.WriteString(response, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	})
	server := http.Server{Handler: handler, Protocols: protocols}
	panic(server.Serve(listener))
}
