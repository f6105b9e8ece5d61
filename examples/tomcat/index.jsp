<%= "Tomcat says " + (6 * 7) %>
