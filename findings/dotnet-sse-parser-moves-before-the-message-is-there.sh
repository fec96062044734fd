#!/usr/bin/env bash
# About: System.Net.ServerSentEvents 11.0.0 for .NET.
# Expected: LastEventId is the id of the last message that was complete (HTML standard): what was
#   cut before its blank line is thrown away with its id.
# Seen: LastEventId moves when the "id:" line is read. After a cut it names a message that was
#   never delivered.
# Meaning: A client that reconnects with LastEventId skips the message that was cut: the server
#   takes it for delivered.
# Needs: the .NET SDK, version 10 or newer.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$work/packages"

cat >finding.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <RollForward>Major</RollForward>
    <ImplicitUsings>enable</ImplicitUsings>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="System.Net.ServerSentEvents" Version="[11.0.0]" />
  </ItemGroup>
</Project>
XML

cat >Program.cs <<'CS'
using System.Net.ServerSentEvents;
using System.Text;

var cut = "id: 5\ndata: five\n\nid: 6\ndata: six";
var parser = SseParser.Create(new MemoryStream(Encoding.UTF8.GetBytes(cut)));
var delivered = parser.Enumerate().Select(message => message.EventId + " " + message.Data).ToList();
Console.WriteLine("delivered: " + string.Join(", ", delivered));
Console.WriteLine("LastEventId: " + parser.LastEventId);
return delivered.SequenceEqual(["5 five"]) && parser.LastEventId == "6" ? 0 : 1;
CS
dotnet run
