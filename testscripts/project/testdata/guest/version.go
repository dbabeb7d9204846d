package main

const version = "1"
